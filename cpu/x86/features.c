/*
 * The names of CPUID feature bits, as -cpu takes them and kernels print them. Spec: Intel SDM vol. 2, CPUID; AMD APM vol. 3,
 * appendix E; Linux' documentation for the paravirtual bits.
 *
 * A feature that consists of instructions is offered when insn.def has them (its %feature line); the others say here whether we have them.
 */
#include "cpu/x86/models.h"

#include <stdio.h>
#include <string.h>

#include "cpu/x86/decode.h"
#include "cpu/x86/host_features.h"

const struct x86_word_place x86_word_places[W_COUNT] = {
    [W_1_EDX] = { 1, 0, 3 }, [W_1_ECX] = { 1, 0, 2 }, [W_7_EBX] = { 7, 0, 1 }, [W_7_ECX] = { 7, 0, 2 }, [W_7_EDX] = { 7, 0, 3 },
    [W_EXT_EDX] = { 0x80000001, 0, 3 }, [W_EXT_ECX] = { 0x80000001, 0, 2 }, [W_D1_EAX] = { 0xd, 1, 0 }, [W_6_EAX] = { 6, 0, 0 },
    [W_POWER_EDX] = { 0x80000007, 0, 3 }, [W_7_2_EDX] = { 7, 2, 3 }, [W_7_1_EAX] = { 7, 1, 0 }, [W_7_1_EDX] = { 7, 1, 3 },
    [W_8_EBX] = { 0x80000008, 0, 1 }, [W_SVM_EDX] = { 0x8000000a, 0, 3 }, [W_KVM_EAX] = { 0x40000001, 0, 0 },
};

#define NO X86_NO
#define YES X86_YES
#define ASK X86_ASK

const struct x86_feature_name x86_features[] = {
    { W_1_EDX, 0, YES, "fpu", NULL }, { W_1_EDX, 1, NO, "vme", NULL }, { W_1_EDX, 2, YES, "de", NULL },
    { W_1_EDX, 3, YES, "pse", NULL }, { W_1_EDX, 4, YES, "tsc", NULL }, { W_1_EDX, 5, YES, "msr", NULL },
    { W_1_EDX, 6, YES, "pae", NULL }, { W_1_EDX, 7, YES, "mce", NULL }, { W_1_EDX, 8, YES, "cx8", NULL },
    { W_1_EDX, 9, YES, "apic", NULL }, { W_1_EDX, 11, YES, "sep", NULL }, { W_1_EDX, 12, YES, "mtrr", NULL },
    { W_1_EDX, 13, YES, "pge", NULL }, { W_1_EDX, 14, YES, "mca", NULL }, { W_1_EDX, 15, YES, "cmov", NULL },
    { W_1_EDX, 16, YES, "pat", NULL }, { W_1_EDX, 17, YES, "pse36", NULL }, { W_1_EDX, 18, NO, "pn", NULL },
    { W_1_EDX, 19, YES, "clflush", "clfsh" }, { W_1_EDX, 21, NO, "ds", "dts" }, { W_1_EDX, 22, NO, "acpi", NULL },
    { W_1_EDX, 23, YES, "mmx", NULL }, { W_1_EDX, 24, YES, "fxsr", NULL }, { W_1_EDX, 25, YES, "sse", NULL },
    { W_1_EDX, 26, YES, "sse2", NULL }, { W_1_EDX, 27, ASK, "ss", NULL }, { W_1_EDX, 28, ASK, "ht", NULL },
    { W_1_EDX, 29, NO, "tm", NULL }, { W_1_EDX, 30, NO, "ia64", NULL }, { W_1_EDX, 31, NO, "pbe", NULL },
    { W_1_ECX, 0, YES, "pni", "sse3" }, { W_1_ECX, 1, YES, "pclmulqdq", "pclmuldq" }, { W_1_ECX, 2, NO, "dtes64", NULL },
    { W_1_ECX, 3, ASK, "monitor", NULL }, { W_1_ECX, 4, NO, "ds-cpl", NULL }, { W_1_ECX, 5, NO, "vmx", NULL },
    { W_1_ECX, 6, NO, "smx", NULL }, { W_1_ECX, 7, NO, "est", NULL }, { W_1_ECX, 8, NO, "tm2", NULL },
    { W_1_ECX, 9, YES, "ssse3", NULL }, { W_1_ECX, 10, NO, "cid", NULL }, { W_1_ECX, 12, NO, "fma", NULL },
    { W_1_ECX, 13, YES, "cx16", NULL }, { W_1_ECX, 14, NO, "xtpr", NULL }, { W_1_ECX, 15, NO, "pdcm", NULL },
    { W_1_ECX, 17, YES, "pcid", NULL }, { W_1_ECX, 18, NO, "dca", NULL }, { W_1_ECX, 19, YES, "sse4.1", "sse4-1" },
    { W_1_ECX, 20, YES, "sse4.2", "sse4-2" }, { W_1_ECX, 21, YES, "x2apic", NULL }, { W_1_ECX, 22, YES, "movbe", NULL },
    { W_1_ECX, 23, YES, "popcnt", NULL }, { W_1_ECX, 24, YES, "tsc-deadline", NULL }, { W_1_ECX, 25, YES, "aes", NULL },
    { W_1_ECX, 26, YES, "xsave", NULL }, { W_1_ECX, 28, NO, "avx", NULL }, { W_1_ECX, 29, NO, "f16c", NULL },
    { W_1_ECX, 30, YES, "rdrand", NULL }, { W_1_ECX, 31, YES, "hypervisor", NULL },
    { W_7_EBX, 0, YES, "fsgsbase", NULL }, { W_7_EBX, 1, YES, "tsc-adjust", NULL }, { W_7_EBX, 2, NO, "sgx", NULL },
    { W_7_EBX, 3, YES, "bmi1", NULL }, { W_7_EBX, 4, NO, "hle", NULL }, { W_7_EBX, 5, NO, "avx2", NULL },
    { W_7_EBX, 6, YES, "fdp-excptn-only", NULL }, { W_7_EBX, 7, YES, "smep", NULL }, { W_7_EBX, 8, YES, "bmi2", NULL },
    { W_7_EBX, 9, YES, "erms", NULL }, { W_7_EBX, 10, YES, "invpcid", NULL }, { W_7_EBX, 11, NO, "rtm", NULL },
    { W_7_EBX, 12, NO, "cqm", NULL }, { W_7_EBX, 13, YES, "zero-fcs-fds", NULL }, { W_7_EBX, 14, NO, "mpx", NULL },
    { W_7_EBX, 15, NO, "rdt-a", NULL }, { W_7_EBX, 16, NO, "avx512f", NULL }, { W_7_EBX, 17, NO, "avx512dq", NULL },
    { W_7_EBX, 18, YES, "rdseed", NULL }, { W_7_EBX, 19, YES, "adx", NULL }, { W_7_EBX, 20, YES, "smap", NULL },
    { W_7_EBX, 21, NO, "avx512ifma", NULL }, { W_7_EBX, 22, NO, "pcommit", NULL }, { W_7_EBX, 23, YES, "clflushopt", NULL },
    { W_7_EBX, 24, YES, "clwb", NULL }, { W_7_EBX, 25, NO, "intel-pt", NULL }, { W_7_EBX, 26, NO, "avx512pf", NULL },
    { W_7_EBX, 27, NO, "avx512er", NULL }, { W_7_EBX, 28, NO, "avx512cd", NULL }, { W_7_EBX, 29, YES, "sha-ni", NULL },
    { W_7_EBX, 30, NO, "avx512bw", NULL }, { W_7_EBX, 31, NO, "avx512vl", NULL },
    { W_7_ECX, 1, NO, "avx512vbmi", NULL }, { W_7_ECX, 2, YES, "umip", NULL }, { W_7_ECX, 3, NO, "pku", NULL },
    { W_7_ECX, 5, NO, "waitpkg", NULL }, { W_7_ECX, 6, NO, "avx512vbmi2", NULL }, { W_7_ECX, 8, NO, "gfni", NULL },
    { W_7_ECX, 9, NO, "vaes", NULL }, { W_7_ECX, 10, NO, "vpclmulqdq", NULL }, { W_7_ECX, 11, NO, "avx512vnni", NULL },
    { W_7_ECX, 12, NO, "avx512bitalg", NULL }, { W_7_ECX, 14, NO, "avx512-vpopcntdq", NULL }, { W_7_ECX, 16, YES, "la57", NULL },
    { W_7_ECX, 22, YES, "rdpid", NULL }, { W_7_ECX, 24, NO, "bus-lock-detect", NULL }, { W_7_ECX, 25, NO, "cldemote", NULL },
    { W_7_ECX, 27, NO, "movdiri", NULL }, { W_7_ECX, 28, NO, "movdir64b", NULL }, { W_7_ECX, 30, NO, "sgxlc", NULL },
    { W_7_ECX, 31, NO, "pks", NULL },
    { W_7_EDX, 2, NO, "avx512-4vnniw", NULL }, { W_7_EDX, 3, NO, "avx512-4fmaps", NULL }, { W_7_EDX, 4, YES, "fsrm", NULL },
    { W_7_EDX, 8, NO, "avx512-vp2intersect", NULL }, { W_7_EDX, 10, ASK, "md-clear", NULL }, { W_7_EDX, 14, NO, "serialize", NULL },
    { W_7_EDX, 16, NO, "tsx-ldtrk", NULL }, { W_7_EDX, 19, NO, "arch-lbr", NULL }, { W_7_EDX, 20, NO, "ibt", NULL },
    { W_7_EDX, 22, NO, "amx-bf16", NULL }, { W_7_EDX, 23, NO, "avx512-fp16", NULL }, { W_7_EDX, 24, NO, "amx-tile", NULL },
    { W_7_EDX, 25, NO, "amx-int8", NULL }, { W_7_EDX, 26, YES, "spec-ctrl", NULL }, { W_7_EDX, 27, YES, "stibp", NULL },
    { W_7_EDX, 28, NO, "flush-l1d", NULL }, { W_7_EDX, 29, YES, "arch-capabilities", NULL },
    { W_7_EDX, 30, NO, "core-capability", NULL }, { W_7_EDX, 31, YES, "ssbd", NULL },
    { W_7_1_EAX, 4, NO, "avx-vnni", NULL }, { W_7_1_EAX, 5, NO, "avx512-bf16", NULL }, { W_7_1_EAX, 7, NO, "cmpccxadd", NULL },
    { W_7_1_EAX, 10, NO, "fzrm", NULL }, { W_7_1_EAX, 11, NO, "fsrs", NULL }, { W_7_1_EAX, 12, NO, "fsrc", NULL },
    { W_7_1_EAX, 21, NO, "amx-fp16", NULL }, { W_7_1_EAX, 23, NO, "avx-ifma", NULL },
    { W_7_1_EDX, 4, NO, "avx-vnni-int8", NULL }, { W_7_1_EDX, 5, NO, "avx-ne-convert", NULL }, { W_7_1_EDX, 14, NO, "prefetchiti", NULL },
    { W_7_2_EDX, 4, YES, "bhi-ctrl", NULL },      /* with it Linux does not clear branch history by hand at each system call */
    { W_EXT_EDX, 11, YES, "syscall", NULL }, { W_EXT_EDX, 20, YES, "nx", "xd" }, { W_EXT_EDX, 22, YES, "mmxext", NULL },
    { W_EXT_EDX, 25, NO, "fxsr-opt", "ffxsr" }, { W_EXT_EDX, 26, YES, "pdpe1gb", NULL }, { W_EXT_EDX, 27, YES, "rdtscp", NULL },
    { W_EXT_EDX, 29, YES, "lm", "i64" }, { W_EXT_EDX, 30, NO, "3dnowext", NULL }, { W_EXT_EDX, 31, NO, "3dnow", NULL },
    { W_EXT_ECX, 0, YES, "lahf-lm", NULL }, { W_EXT_ECX, 1, ASK, "cmp-legacy", NULL }, { W_EXT_ECX, 2, NO, "svm", NULL },
    { W_EXT_ECX, 3, NO, "extapic", NULL }, { W_EXT_ECX, 4, NO, "cr8legacy", NULL }, { W_EXT_ECX, 5, YES, "abm", "lzcnt" },
    { W_EXT_ECX, 6, NO, "sse4a", NULL }, { W_EXT_ECX, 7, NO, "misalignsse", NULL }, { W_EXT_ECX, 8, YES, "3dnowprefetch", NULL },
    { W_EXT_ECX, 9, NO, "osvw", NULL }, { W_EXT_ECX, 10, NO, "ibs", NULL }, { W_EXT_ECX, 11, NO, "xop", NULL },
    { W_EXT_ECX, 12, NO, "skinit", NULL }, { W_EXT_ECX, 13, NO, "wdt", NULL }, { W_EXT_ECX, 15, NO, "lwp", NULL },
    { W_EXT_ECX, 16, NO, "fma4", NULL }, { W_EXT_ECX, 17, NO, "tce", NULL }, { W_EXT_ECX, 19, NO, "nodeid-msr", NULL },
    { W_EXT_ECX, 21, NO, "tbm", NULL }, { W_EXT_ECX, 22, ASK, "topoext", NULL }, { W_EXT_ECX, 23, NO, "perfctr-core", NULL },
    { W_EXT_ECX, 24, NO, "perfctr-nb", NULL },
    { W_8_EBX, 0, NO, "clzero", NULL }, { W_8_EBX, 2, NO, "xsaveerptr", NULL }, { W_8_EBX, 9, ASK, "wbnoinvd", NULL },
    { W_8_EBX, 12, ASK, "ibpb", NULL }, { W_8_EBX, 14, ASK, "ibrs", NULL }, { W_8_EBX, 15, ASK, "amd-stibp", NULL },
    { W_8_EBX, 17, ASK, "stibp-always-on", NULL }, { W_8_EBX, 24, ASK, "amd-ssbd", NULL }, { W_8_EBX, 25, NO, "virt-ssbd", NULL },
    { W_8_EBX, 26, ASK, "amd-no-ssb", NULL }, { W_8_EBX, 28, NO, "amd-psfd", NULL },
    { W_SVM_EDX, 0, NO, "npt", NULL }, { W_SVM_EDX, 1, NO, "lbrv", NULL }, { W_SVM_EDX, 2, NO, "svm-lock", NULL },
    { W_SVM_EDX, 3, NO, "nrip-save", NULL }, { W_SVM_EDX, 4, NO, "tsc-scale", NULL }, { W_SVM_EDX, 5, NO, "vmcb-clean", NULL },
    { W_SVM_EDX, 6, NO, "flushbyasid", NULL }, { W_SVM_EDX, 7, NO, "decodeassists", NULL }, { W_SVM_EDX, 10, NO, "pause-filter", NULL },
    { W_SVM_EDX, 12, NO, "pfthreshold", NULL }, { W_SVM_EDX, 13, NO, "avic", NULL }, { W_SVM_EDX, 15, NO, "v-vmsave-vmload", NULL },
    { W_SVM_EDX, 16, NO, "vgif", NULL }, { W_SVM_EDX, 25, NO, "vnmi", NULL }, { W_SVM_EDX, 28, NO, "svme-addr-chk", NULL },
    { W_D1_EAX, 0, YES, "xsaveopt", NULL }, { W_D1_EAX, 1, YES, "xsavec", NULL }, { W_D1_EAX, 2, YES, "xgetbv1", NULL },
    { W_D1_EAX, 3, NO, "xsaves", NULL }, { W_D1_EAX, 4, NO, "xfd", NULL },
    { W_6_EAX, 2, YES, "arat", NULL }, { W_POWER_EDX, 8, YES, "invtsc", NULL },
    { W_KVM_EAX, 0, NO, "kvmclock", NULL }, { W_KVM_EAX, 1, NO, "kvm-nopiodelay", NULL }, { W_KVM_EAX, 2, NO, "kvm-mmu", NULL },
    { W_KVM_EAX, 4, NO, "kvm-asyncpf", NULL }, { W_KVM_EAX, 5, NO, "kvm-steal-time", NULL }, { W_KVM_EAX, 6, NO, "kvm-pv-eoi", NULL },
    { W_KVM_EAX, 7, NO, "kvm-pv-unhalt", NULL }, { W_KVM_EAX, 9, NO, "kvm-pv-tlb-flush", NULL }, { W_KVM_EAX, 11, NO, "kvm-pv-ipi", NULL },
    { W_KVM_EAX, 12, NO, "kvm-poll-control", NULL }, { W_KVM_EAX, 13, NO, "kvm-pv-sched-yield", NULL },
    { W_KVM_EAX, 14, NO, "kvm-asyncpf-int", NULL }, { W_KVM_EAX, 15, NO, "kvm-msi-ext-dest-id", NULL },
    { W_KVM_EAX, 24, NO, "kvmclock-stable-bit", NULL },
    /* IA32_ARCH_CAPABILITIES: nothing speculates across a privilege boundary here; ibrs-all keeps Linux from retpolines */
    { W_ARCH_LO, 0, YES, "rdctl-no", NULL }, { W_ARCH_LO, 1, YES, "ibrs-all", NULL }, { W_ARCH_LO, 2, ASK, "rsba", NULL },
    { W_ARCH_LO, 3, YES, "skip-l1dfl-vmentry", NULL }, { W_ARCH_LO, 4, YES, "ssb-no", NULL }, { W_ARCH_LO, 5, YES, "mds-no", NULL },
    { W_ARCH_LO, 6, YES, "pschange-mc-no", NULL }, { W_ARCH_LO, 7, NO, "tsx-ctrl", NULL }, { W_ARCH_LO, 8, YES, "taa-no", NULL },
    { W_ARCH_LO, 13, YES, "sbdr-ssdp-no", NULL }, { W_ARCH_LO, 14, YES, "fbsdp-no", NULL }, { W_ARCH_LO, 15, YES, "psdp-no", NULL },
    { W_ARCH_LO, 17, ASK, "fb-clear", NULL }, { W_ARCH_LO, 20, YES, "bhi-no", NULL }, { W_ARCH_LO, 24, YES, "pbrsb-no", NULL },
    { W_ARCH_LO, 26, YES, "gds-no", NULL }, { W_ARCH_LO, 27, YES, "rfds-no", NULL }, { W_ARCH_HI, 30, YES, "its-no", NULL },
};
const unsigned x86_feature_count = G_N_ELEMENTS(x86_features);

/* "tsc_deadline" is "tsc-deadline" */
static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '_' ? '-' : a[i], y = b[i] == '_' ? '-' : b[i];
        if (g_ascii_tolower(x) != g_ascii_tolower(y)) {
            return false;
        }
    }
    return b[n] == 0 || b[n] == ' ';
}

const struct x86_feature_name *x86_feature_find(const char *name, size_t n)
{
    for (unsigned i = 0; i < x86_feature_count; i++) {
        if (same_name(name, x86_features[i].name, n) || (x86_features[i].alias && same_name(name, x86_features[i].alias, n))) {
            return &x86_features[i];
        }
    }
    return NULL;
}

static bool implemented(const struct x86_feature_name *f)
{
    const struct x86_word_place *p = &x86_word_places[f->word];

    for (unsigned i = 1; f->have == X86_NO && p->leaf && i < X86_FEAT_COUNT; i++) {
        const struct x86_feature_bit *b = &x86_feature_bits[i];

        if (b->leaf == p->leaf && b->subleaf == p->subleaf && b->reg == p->reg && b->bit == f->bit) {
            return true;
        }
    }
    return f->have != X86_NO;
}

void x86_features_offered(uint32_t words[W_COUNT])
{
    for (unsigned w = 0; w < W_COUNT; w++) {
        words[w] = 0;
    }
    for (unsigned i = 0; i < x86_feature_count; i++) {
        words[x86_features[i].word] |= implemented(&x86_features[i]) ? 1u << x86_features[i].bit : 0;
    }
    for (unsigned w = 0; w < W_COUNT; w++) {
        words[w] &= ~x86_host_lacks(w);
    }
}

void x86_feature_describe(const struct x86_feature_name *f, char *buf, size_t size)
{
    static const char *const regs[] = { "EAX", "EBX", "ECX", "EDX" };
    const struct x86_word_place *p = &x86_word_places[f->word];

    if (p->leaf) {
        snprintf(buf, size, "CPUID.%02XH:%s.%s [bit %u]", p->leaf, regs[p->reg], f->name, f->bit);
    } else {
        snprintf(buf, size, "MSR(10AH).%s [bit %u]", f->name, f->bit + (f->word == W_ARCH_HI ? 32 : 0));
    }
}
