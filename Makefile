# The one Makefile. In the source tree it builds into build/ (and runs configure by itself); a folder in which
# configure was run has a small Makefile that sets B and includes this one.
# Rooms are folders; every *.c in a room is compiled. See README for the targets.

srcdir := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
B ?= $(if $(filter $(srcdir),$(CURDIR)),build,$(srcdir)/build)
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
all:

# --- configuration: made on demand; run, check and bench also install what is missing ---

WANT_DEPS := $(filter run check check-full bench,$(MAKECMDGOALS))
DEP_SETS := build option $(if $(filter check check-full bench,$(WANT_DEPS)),check) $(if $(WANT_DEPS),guest) $(if $(filter bench,$(WANT_DEPS)),bench)

ifeq (,$(filter clean help,$(MAKECMDGOALS)))
-include $(B)/config.mak
endif

# A build that was configured without criterion looks again when somebody asks for the tests.
ifeq ($(CRITERION)$(MAKE_RESTARTS),no)
ifneq (,$(filter check check-full,$(MAKECMDGOALS)))
$(B)/config.mak: FORCE
endif
endif

$(B)/config.mak: $(srcdir)/configure $(srcdir)/scripts/deps.table
	@mkdir -p $(B)
	@$(if $(WANT_DEPS),$(srcdir)/scripts/install-deps $(DEP_SETS),true)
	@cd $(if $(filter $(srcdir)/build,$(abspath $(B))),$(srcdir),$(B)) && $(srcdir)/configure $(CONFIGURE_ARGS)

# --- rooms ---

ROOMS := base core tcg $(if $(filter yes,$(NATIVE)),tcg/x86_64) accel/tcg $(if $(filter yes,$(KVM)),accel/kvm) cpu/fpu cpu/x86 \
    $(patsubst $(srcdir)/%/,%,$(sort $(wildcard $(srcdir)/hw/*/))) \
    block net chardev ui disas migration monitor gdbstub
SOURCES := $(filter-out $(LEFT_OUT) $(if $(filter yes,$(SLIRP)),,net/user%),$(foreach r,$(ROOMS),$(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/$(r)/*.c))))
MAIN_SOURCES := $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/main/*.c))
# main/main.c holds main(); what else lies in main/ is in the archive, so that tests can use it.
OBJECTS := $(patsubst %.c,$(B)/obj/%.o,$(SOURCES) $(filter-out main/main.c,$(MAIN_SOURCES)))
MAIN_OBJECT := $(patsubst %.c,$(B)/obj/%.o,$(filter main/main.c,$(MAIN_SOURCES)))
EMU := $(B)/emu-system-x86_64
TOOLS := $(patsubst $(srcdir)/tools/%.c,$(B)/tools/%,$(wildcard $(srcdir)/tools/*.c))

all: $(EMU) $(TOOLS)

INCLUDES = -I$(srcdir) -I$(B)/gen -include $(B)/config.h
DEPFLAGS = -MMD -MP -MF $(@:.o=.d)

Q := $(if $(V),,@)
note = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

# --- host tools: one C file each, no library ---

$(B)/tools/%: $(srcdir)/tools/%.c | $(B)/config.mak
	$(call note,TOOL,$*)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(TOOL_CFLAGS) -I$(srcdir) -MMD -MP -MF $@.d -MT $@ -o $@ $<

# --- generated headers: X.def in a room is read by tools/Xgen, which writes X_*.h under gen/ ---

DEFS := $(foreach d,$(wildcard $(srcdir)/*/*.def $(srcdir)/*/*/*.def),$(if $(wildcard $(srcdir)/tools/$(basename $(notdir $(d)))gen.c),$(patsubst $(srcdir)/%,%,$(d))))
ASLS := $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/hw/*/*.asl))
ROMS := $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/roms/*.S) $(shell find $(srcdir)/tests -name guests -prune -o -name '*.S' -print))
GENERATED := $(DEFS:%.def=$(B)/gen/%.stamp) $(ASLS:%.asl=$(B)/gen/%_aml.h) $(ROMS:%.S=$(B)/gen/%_rom.h)

define def_rule
$(B)/gen/$(basename $(1)).stamp: $(srcdir)/$(1) $(B)/tools/$(basename $(notdir $(1)))gen
	$$(call note,GEN,$(1))
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(B)/tools/$(basename $(notdir $(1)))gen $$< $$(@D)
	$$(Q)touch $$@
$(B)/gen/$(basename $(1))_%.h: $(B)/gen/$(basename $(1)).stamp ;
endef
$(foreach d,$(DEFS),$(eval $(call def_rule,$(d))))

# NAME.asl gives NAME_aml[], NAME.S (16-, 32- or 64-bit code linked at 0) gives NAME_rom[].
$(B)/gen/%_aml.h: $(srcdir)/%.asl $(wildcard $(srcdir)/hw/acpi/*.asli) $(B)/tools/bin2h
	$(call note,IASL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)iasl -va -p $(B)/gen/$*_asl $< >$(B)/gen/$*_asl.log 2>&1 || { cat $(B)/gen/$*_asl.log; false; }
	$(Q)$(B)/tools/bin2h $(B)/gen/$*_asl.aml $(subst -,_,$(notdir $*))_aml >$@

$(B)/gen/%_rom.h: $(srcdir)/%.S $(B)/tools/bin2h
	$(call note,ROM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -c -I$(srcdir) -MMD -MP -MF $(B)/gen/$*_rom.d -MT $@ -o $(B)/gen/$*_rom.o $<
	$(Q)ld -Ttext 0 -e 0 --oformat binary -o $(B)/gen/$*_rom.bin $(B)/gen/$*_rom.o
	$(Q)$(B)/tools/bin2h $(B)/gen/$*_rom.bin $(subst -,_,$(notdir $*))_rom >$@

generated: $(GENERATED)

# --- objects ---

$(B)/obj/%_gpr.o: $(srcdir)/%_gpr.c $(B)/config.h | $(GENERATED)
	$(call note,CC,$*_gpr.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(GPR_CFLAGS) $(INCLUDES) $(DEPFLAGS) -c -o $@ $<

$(B)/obj/%.o: $(srcdir)/%.c $(B)/config.h | $(GENERATED)
	$(call note,CC,$*.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(INCLUDES) $(DEPFLAGS) -c -o $@ $<

$(B)/config.h: $(B)/config.mak ;

# Relinked also when a source file goes away.
$(B)/objects.list: FORCE
	@mkdir -p $(@D); echo '$(OBJECTS)' | cmp -s - $@ || echo '$(OBJECTS)' >$@

$(B)/libemu.a: $(OBJECTS) $(B)/objects.list
	$(call note,AR,libemu.a)
	$(Q)rm -f $@; ar rcs $@ $(OBJECTS)

# All of the archive: two rooms that define one name are an error, not a choice.
$(EMU): $(MAIN_OBJECT) $(B)/libemu.a
	$(if $(MAIN_OBJECT),,@echo 'main/main.c is not there: no emulator to link' >&2; false)
	$(call note,LD,$(notdir $@))
	$(Q)$(CC) $(LDFLAGS) -o $@ $(MAIN_OBJECT) -Wl,--whole-archive $(B)/libemu.a -Wl,--no-whole-archive $(LIBS)

# --- tests: tests/ROOM/NAME.c is a criterion program; *_util.c is shared by all, *_prog.c is a program of its own
#     that a script runs ---

# (tests/guests/ holds programs for the bare guest, which a script builds.)
TEST_C := $(patsubst $(srcdir)/%.c,%,$(shell find $(srcdir)/tests -name guests -prune -o -name '*.c' -print | sort))
TEST_UTIL := $(patsubst %,$(B)/obj/%.o,$(filter %_util,$(TEST_C)))
TEST_UNITS := $(patsubst %,$(B)/%,$(filter-out %_util %_prog,$(TEST_C)))
TEST_PROGS := $(patsubst %,$(B)/%,$(filter %_prog,$(TEST_C)))
TEST_SCRIPTS := $(shell find $(srcdir)/tests -name '*.sh' | sort) $(sort $(wildcard $(srcdir)/tests/check.d/*))

$(B)/obj/tests/%.o: $(srcdir)/tests/%.c $(B)/config.h | $(GENERATED)
	$(call note,CC,tests/$*.c)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(INCLUDES) $(CRITERION_CFLAGS) $(DEPFLAGS) -c -o $@ $<

$(TEST_UNITS) $(TEST_PROGS): $(B)/tests/%: $(B)/obj/tests/%.o $(TEST_UTIL) $(B)/libemu.a
	$(call note,LD,tests/$*)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(TEST_UTIL) $(B)/libemu.a $(LIBS) $(CRITERION_LIBS)

# tests/guests/NAME.c: bare-metal guests, run by tests/check.d/guests. NAME32 is 32-bit code, the others are 64-bit
# code in a 32-bit ELF file, as multiboot wants it.

GUESTS := $(patsubst $(srcdir)/tests/guests/%.c,$(B)/guests/%,$(filter-out %/rt.c,$(wildcard $(srcdir)/tests/guests/*.c)))
GUEST_CFLAGS := -std=gnu11 -O1 -Wall -Wextra -ffreestanding -nostdinc -isystem $(shell $(CC) -print-file-name=include) -fno-pic -fno-stack-protector \
    -fno-asynchronous-unwind-tables -mno-red-zone -mgeneral-regs-only -fcf-protection=none -fno-strict-aliasing
guest_bits = $(if $(filter %32,$(1)),32,64)

$(GUESTS): $(B)/guests/%: $(srcdir)/tests/guests/%.c $(addprefix $(srcdir)/tests/guests/rt.,c h S ld) | $(B)/config.mak
	$(call note,GUEST,$*)
	$(Q)mkdir -p $(@D)
	$(Q)for f in $*.c rt.c rt.S; do $(CC) -m$(call guest_bits,$*) $(GUEST_CFLAGS) -I$(srcdir) -c -o $@-$$f.o $(srcdir)/tests/guests/$$f || exit 1; done
	$(Q)ld -m $(if $(filter 32,$(call guest_bits,$*)),elf_i386,elf_x86_64) --no-warn-rwx-segments -z max-page-size=4096 \
	    -T $(srcdir)/tests/guests/rt.ld -o $@.elf $@-$*.c.o $@-rt.c.o $@-rt.S.o
	$(Q)objcopy -O elf32-i386 $@.elf $@

tests: $(TEST_UNITS) $(TEST_PROGS) $(GUESTS)

RUN_ENV = SRCDIR=$(srcdir) BUILD=$(abspath $(B)) EMU=$${EMU:-$(abspath $(EMU))} CC="$(CC)"

need-criterion:
	$(if $(filter yes,$(CRITERION)),,@echo 'the unit tests need criterion: Debian package libcriterion-dev, then configure again' >&2; false)

# A test that does not compile is a failed test, not the end of the run (-k); the runner names it.
check: need-criterion all
	@-$(MAKE) --no-print-directory -k tests
	@$(RUN_ENV) $(srcdir)/tests/run check $(patsubst $(B)/%,unit:%,$(TEST_UNITS)) $(patsubst $(srcdir)/%,script:%,$(TEST_SCRIPTS))

# PART=help lists the parts of tests/full.d; PART=name runs one; otherwise check and then every part.
check-full: $(if $(filter help,$(PART)),,need-criterion all tests)
	@$(RUN_ENV) $(srcdir)/tests/run full '$(PART)' $(patsubst $(B)/%,unit:%,$(TEST_UNITS)) $(patsubst $(srcdir)/%,script:%,$(TEST_SCRIPTS))

bench: all
	@$(RUN_ENV) $(srcdir)/bench/run $(BENCH)

guest: $(B)/tools/mkcpio
	@BUILD=$(abspath $(B)) $(srcdir)/scripts/make-guest

run: all guest
	@BUILD=$(abspath $(B)); exec $(EMU) -accel tcg -m 1G -nographic -kernel $(B)/guest/cloud/vmlinuz -initrd $(B)/guest/initramfs.cpio -append 'console=ttyS0 quiet' $(ARGS)

# --- install, clean ---

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/emu
	install -m 755 $(EMU) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(srcdir)/docs/emu-system-x86_64.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 $(srcdir)/README $(srcdir)/LICENSE $(DESTDIR)$(PREFIX)/share/emu/

# The guests stay: they were fetched, not built.
clean:
	rm -rf $(addprefix $(B)/,obj gen tools tests guests check bench libemu.a objects.list emu-system-x86_64)

help:
	@sed -n '/^Targets/,/^$$/p' $(srcdir)/README

FORCE:
.PHONY: all tests check check-full bench guest run install clean help generated need-criterion FORCE

-include $(OBJECTS:.o=.d) $(MAIN_OBJECT:.o=.d) $(patsubst $(B)/tests/%,$(B)/obj/tests/%.d,$(TEST_UNITS) $(TEST_PROGS)) \
    $(TEST_UTIL:.o=.d) $(TOOLS:=.d) $(ROMS:%.S=$(B)/gen/%_rom.d)
