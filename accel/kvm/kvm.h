/*
 * KVM as an engine: the host's processor runs the guest. See kvm.c.
 */
#ifndef ACCEL_KVM_KVM_H
#define ACCEL_KVM_KVM_H

#include "core/accel.h"
#include "core/command.h"

extern const struct accel_ops accel_kvm;

#endif
