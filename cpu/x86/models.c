/*
 * CPU models as rows. The processors' own features by Intel's and AMD's CPUID documentation; names, versions and identification as
 * QEMU's users know them. What a hypervisor offers on request only (svm, vmx, monitor, acpi) is in no row.
 *
 * Programs built with function clones per processor (gcc's target_clones, __builtin_cpu_is) go by family and model and then use
 * that processor's instructions unasked: so our own models name a real processor that has no more than the row offers (Westmere,
 * Nehalem, a family-15 one). `max` behaves as GenuineIntel: only there do kernels read TSC and APIC timer frequency from leaf
 * 15h, and the bits of IA32_ARCH_CAPABILITIES that say which mitigations are not needed exist on Intel alone.
 */
#include "cpu/x86/models.h"

#include <string.h>

#include "cpu/x86/cpu.h"

#define F_PENTIUM "fpu de pse tsc msr mce cx8 mmx apic "
#define F_PENTIUM2 F_PENTIUM "pae sep mtrr pge mca cmov pat pse36 fxsr "
#define F_64 F_PENTIUM2 "sse sse2 clflush lm nx syscall "
#define F_CONROE F_64 "pni ssse3 lahf-lm "
#define F_PENRYN F_CONROE "cx16 sse4.1 "
#define F_NEHALEM F_PENRYN "sse4.2 popcnt "
#define F_WESTMERE F_NEHALEM "aes pclmulqdq arat "
#define F_SANDYBRIDGE F_WESTMERE "avx xsave xsaveopt x2apic tsc-deadline rdtscp "
#define F_IVYBRIDGE F_SANDYBRIDGE "f16c rdrand fsgsbase smep erms "
#define F_HASWELL F_IVYBRIDGE "avx2 fma bmi1 bmi2 abm movbe pcid invpcid hle rtm "
#define F_BROADWELL F_HASWELL "adx rdseed smap 3dnowprefetch "
#define F_SKYLAKE F_BROADWELL "xsavec xgetbv1 "
#define F_SKYLAKE_SERVER F_SKYLAKE "avx512f avx512dq avx512bw avx512cd avx512vl clflushopt clwb pdpe1gb pku "
#define F_CASCADELAKE F_SKYLAKE_SERVER "avx512vnni spec-ctrl ssbd "
#define F_ICELAKE F_CASCADELAKE "avx512-vpopcntdq avx512bitalg avx512vbmi avx512vbmi2 gfni la57 umip vaes vpclmulqdq wbnoinvd "
#define F_DENVERTON F_WESTMERE "x2apic tsc-deadline rdtscp xsave xsaveopt xsavec xgetbv1 rdrand rdseed fsgsbase smep smap erms movbe " \
    "clflushopt pdpe1gb sha-ni 3dnowprefetch arch-capabilities rdctl-no skip-l1dfl-vmentry spec-ctrl ssbd "
#define F_OPTERON2 F_64 "pni cx16 lahf-lm "
#define F_OPTERON3 F_OPTERON2 "abm popcnt sse4a misalignsse rdtscp "
#define F_OPTERON4 F_OPTERON3 "ssse3 sse4.1 sse4.2 aes pclmulqdq avx xsave fma4 xop 3dnowprefetch pdpe1gb "
#define F_ZEN F_OPTERON2 "abm popcnt sse4a misalignsse rdtscp ssse3 sse4.1 sse4.2 avx avx2 f16c fma xsave xsaveopt xsavec xgetbv1 " \
    "movbe rdrand rdseed bmi1 bmi2 adx fsgsbase smep smap clflushopt mmxext fxsr-opt pdpe1gb 3dnowprefetch cr8legacy osvw topoext arat "
#define F_EPYC F_ZEN "aes pclmulqdq sha-ni "
#define F_ROME F_EPYC "clwb umip rdpid clzero xsaveerptr wbnoinvd ibpb amd-stibp perfctr-core xsaves "
#define F_MILAN F_ROME "erms fsrm pcid invpcid pku ibrs amd-ssbd "
/* what costs nothing and makes every kernel quicker; our own models */
#define F_PLATFORM "hypervisor x2apic tsc-deadline tsc-adjust arat invtsc spec-ctrl stibp ssbd bhi-ctrl arch-capabilities rdtscp pcid " \
    "rdctl-no ibrs-all skip-l1dfl-vmentry ssb-no mds-no pschange-mc-no taa-no sbdr-ssdp-no fbsdp-no psdp-no bhi-no pbrsb-no gds-no " \
    "rfds-no its-no "
#define F_V2 F_64 F_PLATFORM "pni ssse3 sse4.1 sse4.2 popcnt cx16 lahf-lm "
#define F_V3 F_V2 "xsave xsaveopt avx avx2 fma f16c bmi1 bmi2 abm movbe "
#define NO_TSX "hle rtm"
#define ARCH_V2 "arch-capabilities ibrs-all mds-no rdctl-no skip-l1dfl-vmentry "

#define INTEL .vendor = "GenuineIntel", .caches = &x86_caches_generic
#define AMD .vendor = "AuthenticAMD", .caches = &x86_caches_generic
#define ID(f, m, s) .family = f, .model = m, .stepping = s
#define LEVELS(l, x) .level = l, .xlevel = x

const struct x86_model x86_models[] = {
    { "max", .desc = "everything that this emulator implements (default)", .brand = "emu virtual CPU", INTEL, ID(6, 44, 2),
      LEVELS(0x16, 0x80000008), .features = "*" },
    { "base", .desc = "no feature at all", .brand = "", INTEL, .features = "" },
    { "qemu64-v1", .desc = "a plain 64-bit CPU", .brand = "QEMU Virtual CPU version 2.5+", AMD, ID(15, 107, 1), LEVELS(0xd, 0x8000000a),
      .features = F_64 "pni cx16 lahf-lm" },
    { "qemu32-v1", .brand = "QEMU Virtual CPU version 2.5+", INTEL, ID(6, 6, 3), LEVELS(4, 0x80000004),
      .features = F_PENTIUM2 "sse sse2 pni", .drop = "mtrr mca pse36" },
    { "x86-64-v1", .desc = "x86-64 baseline", .brand = "emu virtual CPU (x86-64-v1)", INTEL, ID(15, 6, 4), LEVELS(0x16, 0x80000008),
      .features = F_64 F_PLATFORM },
    { "x86-64-v2", .desc = "SSE4.2, POPCNT, CMPXCHG16B", .brand = "emu virtual CPU (x86-64-v2)", INTEL, ID(6, 26, 3),
      LEVELS(0x16, 0x80000008), .features = F_V2 },
    { "x86-64-v3", .desc = "AVX2, FMA, BMI, MOVBE", .brand = "emu virtual CPU (x86-64-v3)", INTEL, ID(6, 60, 4),
      LEVELS(0x16, 0x80000008), .features = F_V3 },
    { "486-v1", .brand = "", INTEL, ID(4, 8, 0), LEVELS(1, 0), .features = "fpu pse vme", },
    { "pentium-v1", .brand = "", INTEL, ID(5, 4, 3), LEVELS(1, 0), .features = F_PENTIUM "vme" },
    { "pentium2-v1", .brand = "", INTEL, ID(6, 5, 2), LEVELS(3, 0), .features = F_PENTIUM2 "vme" },
    { "pentium3-v1", .brand = "", INTEL, ID(6, 7, 3), LEVELS(3, 0), .features = F_PENTIUM2 "vme sse" },
    { "athlon-v1", .brand = "QEMU Virtual CPU version 2.5+", AMD, ID(6, 2, 3), LEVELS(2, 0x80000008),
      .features = F_PENTIUM2 "vme sse sse2 mmxext 3dnow 3dnowext" },
    { "kvm64-v1", .brand = "Common KVM processor", INTEL, ID(15, 6, 1), LEVELS(0xd, 0x80000008), .features = F_64 "vme pni cx16" },
    { "kvm32-v1", .brand = "Common 32-bit KVM processor", INTEL, ID(15, 6, 1), LEVELS(5, 0x80000008), .features = F_64 "vme pni",
      .drop = "lm nx syscall" },
    { "coreduo-v1", .brand = "Genuine Intel(R) CPU           T2600  @ 2.16GHz", INTEL, ID(6, 14, 8), LEVELS(0xa, 0x80000008),
      .features = F_64 "vme ss pni", .drop = "lm syscall pse36" },
    { "n270-v1", .brand = "Intel(R) Atom(TM) CPU N270   @ 1.60GHz", INTEL, ID(6, 28, 2), LEVELS(0xa, 0x80000008),
      .features = F_64 "vme ss pni ssse3 movbe lahf-lm", .drop = "lm syscall pse36" },
    { "core2duo-v1", .brand = "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz", INTEL, ID(6, 15, 11), LEVELS(0xa, 0x80000008),
      .features = F_CONROE "vme ss cx16" },
    { "phenom-v1", .brand = "AMD Phenom(tm) 9550 Quad-Core Processor", AMD, ID(16, 2, 3), LEVELS(5, 0x8000001a),
      .features = F_OPTERON2 "vme abm popcnt sse4a rdtscp mmxext 3dnow 3dnowext fxsr-opt pdpe1gb" },

    { "Conroe-v1", .brand = "Intel Celeron_4x0 (Conroe/Merom Class Core 2)", INTEL, ID(6, 15, 3), LEVELS(0xa, 0x80000008),
      .features = F_CONROE "vme" },
    { "Penryn-v1", .brand = "Intel Core 2 Duo P9xxx (Penryn Class Core 2)", INTEL, ID(6, 23, 3), LEVELS(0xa, 0x80000008),
      .features = F_PENRYN "vme" },
    { "Nehalem-v1", .brand = "Intel Core i7 9xx (Nehalem Class Core i7)", INTEL, ID(6, 26, 3), LEVELS(0xb, 0x80000008),
      .features = F_NEHALEM "vme" },
    { "Nehalem-v2", "Nehalem-IBRS", "Nehalem-v1", .brand = "Intel Core i7 9xx (Nehalem Core i7, IBRS update)", .features = "spec-ctrl" },
    { "Westmere-v1", .brand = "Westmere E56xx/L56xx/X56xx (Nehalem-C)", INTEL, ID(6, 44, 1), LEVELS(0xb, 0x80000008),
      .features = F_WESTMERE "vme" },
    { "Westmere-v2", "Westmere-IBRS", "Westmere-v1", .brand = "Westmere E56xx/L56xx/X56xx (IBRS update)", .features = "spec-ctrl" },
    { "SandyBridge-v1", .brand = "Intel Xeon E312xx (Sandy Bridge)", INTEL, ID(6, 42, 1), LEVELS(0xd, 0x80000008),
      .features = F_SANDYBRIDGE "vme" },
    { "SandyBridge-v2", "SandyBridge-IBRS", "SandyBridge-v1", .brand = "Intel Xeon E312xx (Sandy Bridge, IBRS update)",
      .features = "spec-ctrl" },
    { "IvyBridge-v1", .brand = "Intel Xeon E3-12xx v2 (Ivy Bridge)", INTEL, ID(6, 58, 9), LEVELS(0xd, 0x80000008),
      .features = F_IVYBRIDGE "vme" },
    { "IvyBridge-v2", "IvyBridge-IBRS", "IvyBridge-v1", .brand = "Intel Xeon E3-12xx v2 (Ivy Bridge, IBRS)", .features = "spec-ctrl" },
    { "Haswell-v1", .brand = "Intel Core Processor (Haswell)", INTEL, ID(6, 60, 4), LEVELS(0xd, 0x80000008), .features = F_HASWELL "vme" },
    { "Haswell-v2", "Haswell-noTSX", "Haswell-v1", .brand = "Intel Core Processor (Haswell, no TSX)", .stepping = 1, .drop = NO_TSX },
    { "Haswell-v3", "Haswell-IBRS", "Haswell-v1", .brand = "Intel Core Processor (Haswell, IBRS)", .features = "spec-ctrl" },
    { "Haswell-v4", "Haswell-noTSX-IBRS", "Haswell-v1", .brand = "Intel Core Processor (Haswell, no TSX, IBRS)", .stepping = 1,
      .features = "spec-ctrl", .drop = NO_TSX },
    { "Broadwell-v1", .brand = "Intel Core Processor (Broadwell)", INTEL, ID(6, 61, 2), LEVELS(0xd, 0x80000008),
      .features = F_BROADWELL "vme" },
    { "Broadwell-v2", "Broadwell-noTSX", "Broadwell-v1", .brand = "Intel Core Processor (Broadwell, no TSX)", .drop = NO_TSX },
    { "Broadwell-v3", "Broadwell-IBRS", "Broadwell-v1", .brand = "Intel Core Processor (Broadwell, IBRS)", .features = "spec-ctrl" },
    { "Broadwell-v4", "Broadwell-noTSX-IBRS", "Broadwell-v1", .brand = "Intel Core Processor (Broadwell, no TSX, IBRS)",
      .features = "spec-ctrl", .drop = NO_TSX },
    { "Skylake-Client-v1", .brand = "Intel Core Processor (Skylake)", INTEL, ID(6, 94, 3), LEVELS(0xd, 0x80000008),
      .features = F_SKYLAKE "vme" },
    { "Skylake-Client-v2", "Skylake-Client-IBRS", "Skylake-Client-v1", .brand = "Intel Core Processor (Skylake, IBRS)",
      .features = "spec-ctrl" },
    { "Skylake-Client-v3", "Skylake-Client-noTSX-IBRS", "Skylake-Client-v2", .brand = "Intel Core Processor (Skylake, IBRS, no TSX)",
      .drop = NO_TSX },
    { "Skylake-Client-v4", NULL, "Skylake-Client-v3", .features = "xsaves" },
    { "Skylake-Server-v1", .brand = "Intel Xeon Processor (Skylake)", INTEL, ID(6, 85, 4), LEVELS(0xd, 0x80000008),
      .features = F_SKYLAKE_SERVER "vme" },
    { "Skylake-Server-v2", "Skylake-Server-IBRS", "Skylake-Server-v1", .brand = "Intel Xeon Processor (Skylake, IBRS)",
      .features = "spec-ctrl", .drop = "clflushopt" },
    { "Skylake-Server-v3", "Skylake-Server-noTSX-IBRS", "Skylake-Server-v2", .brand = "Intel Xeon Processor (Skylake, IBRS, no TSX)",
      .drop = NO_TSX },
    { "Skylake-Server-v4", NULL, "Skylake-Server-v3", .drop = NULL },
    { "Skylake-Server-v5", NULL, "Skylake-Server-v3", .features = "xsaves" },
    { "Cascadelake-Server-v1", .brand = "Intel Xeon Processor (Cascadelake)", INTEL, ID(6, 85, 6), LEVELS(0xd, 0x80000008),
      .features = F_CASCADELAKE "vme" },
    { "Cascadelake-Server-v2", NULL, "Cascadelake-Server-v1", .features = ARCH_V2 },
    { "Cascadelake-Server-v3", "Cascadelake-Server-noTSX", "Cascadelake-Server-v2", .drop = NO_TSX },
    { "Cascadelake-Server-v4", NULL, "Cascadelake-Server-v3", .drop = NULL },
    { "Cascadelake-Server-v5", NULL, "Cascadelake-Server-v3", .features = "xsaves" },
    { "Cooperlake-v1", .brand = "Intel Xeon Processor (Cooperlake)", INTEL, ID(6, 85, 10), LEVELS(0xd, 0x80000008),
      .features = F_CASCADELAKE ARCH_V2 "vme avx512-bf16 stibp pschange-mc-no taa-no" },
    { "Cooperlake-v2", NULL, "Cooperlake-v1", .features = "xsaves" },
    { "Icelake-Server-v1", .brand = "Intel Xeon Processor (Icelake)", INTEL, ID(6, 134, 0), LEVELS(0xd, 0x80000008),
      .features = F_ICELAKE "vme" },
    { "Icelake-Server-v2", "Icelake-Server-noTSX", "Icelake-Server-v1", .drop = NO_TSX },
    { "Icelake-Server-v3", NULL, "Icelake-Server-v2", .features = ARCH_V2 "pschange-mc-no taa-no" },
    { "Icelake-Server-v4", NULL, "Icelake-Server-v3", .model = 106, .features = "avx512ifma fsrm rdpid sha-ni" },
    { "Icelake-Server-v5", NULL, "Icelake-Server-v4", .features = "xsaves" },
    { "Icelake-Server-v6", NULL, "Icelake-Server-v5", .drop = NULL },
    { "SapphireRapids-v1", .brand = "Intel Xeon Processor (SapphireRapids)", INTEL, ID(6, 143, 4), LEVELS(0x20, 0x80000008),
      .features = F_ICELAKE ARCH_V2 "vme pschange-mc-no taa-no avx512ifma fsrm rdpid sha-ni xsaves bus-lock-detect serialize tsx-ldtrk "
                  "amx-bf16 avx512-fp16 amx-tile amx-int8 avx-vnni avx512-bf16 fzrm fsrs fsrc xfd" },
    { "Denverton-v1", .brand = "Intel Atom Processor (Denverton)", INTEL, ID(6, 95, 1), LEVELS(0x15, 0x80000008),
      .features = F_DENVERTON "vme mpx" },
    { "Denverton-v2", NULL, "Denverton-v1", .drop = "mpx" },
    { "Denverton-v3", NULL, "Denverton-v2", .features = "xsaves" },
    { "Snowridge-v1", .brand = "Intel Atom Processor (SnowRidge)", INTEL, ID(6, 134, 1), LEVELS(0x1b, 0x80000008),
      .features = F_DENVERTON "vme mpx umip gfni cldemote clwb movdiri movdir64b core-capability",
      .drop = "rdctl-no skip-l1dfl-vmentry" },
    { "Snowridge-v2", NULL, "Snowridge-v1", .brand = "Intel Atom Processor (Snowridge, no MPX)", .drop = "mpx" },
    { "Snowridge-v3", NULL, "Snowridge-v2", .features = "xsaves" },
    { "Snowridge-v4", NULL, "Snowridge-v3", .drop = "core-capability" },
    { "KnightsMill-v1", .brand = "Intel Xeon Phi Processor (Knights Mill)", INTEL, ID(6, 133, 0), LEVELS(0xd, 0x80000008),
      .features = F_BROADWELL "vme ss pdpe1gb avx512f avx512cd avx512er avx512pf avx512-4fmaps avx512-4vnniw avx512-vpopcntdq",
      .drop = NO_TSX " pcid invpcid smap" },

    { "Opteron_G1-v1", .brand = "AMD Opteron 240 (Gen 1 Class Opteron)", AMD, ID(15, 6, 1), LEVELS(5, 0x80000008), .features = F_64 "vme pni" },
    { "Opteron_G2-v1", .brand = "AMD Opteron 22xx (Gen 2 Class Opteron)", AMD, ID(15, 6, 1), LEVELS(5, 0x8000000a),
      .features = F_OPTERON2 "vme" },
    { "Opteron_G3-v1", .brand = "AMD Opteron 23xx (Gen 3 Class Opteron)", AMD, ID(16, 2, 3), LEVELS(5, 0x8000000a),
      .features = F_OPTERON3 "vme" },
    { "Opteron_G4-v1", .brand = "AMD Opteron 62xx class CPU", AMD, ID(21, 1, 2), LEVELS(0xd, 0x8000001a), .features = F_OPTERON4 "vme" },
    { "Opteron_G5-v1", .brand = "AMD Opteron 63xx class CPU", AMD, ID(21, 2, 0), LEVELS(0xd, 0x8000001a),
      .features = F_OPTERON4 "vme f16c fma tbm" },
    { "EPYC-v1", .brand = "AMD EPYC Processor", .vendor = "AuthenticAMD", .caches = &x86_caches_epyc, ID(23, 1, 2), LEVELS(0xd, 0x8000001e),
      .features = F_EPYC "vme" },
    { "EPYC-v2", "EPYC-IBPB", "EPYC-v1", .brand = "AMD EPYC Processor (with IBPB)", .features = "ibpb" },
    { "EPYC-v3", NULL, "EPYC-v1", .features = "ibpb perfctr-core clzero xsaveerptr xsaves" },
    { "EPYC-v4", NULL, "EPYC-v3", .drop = NULL },
    { "EPYC-Rome-v1", .brand = "AMD EPYC-Rome Processor", .vendor = "AuthenticAMD", .caches = &x86_caches_rome, ID(23, 49, 0),
      LEVELS(0xd, 0x8000001e), .features = F_ROME "vme" },
    { "EPYC-Rome-v2", NULL, "EPYC-Rome-v1", .features = "ibrs amd-ssbd" },
    { "EPYC-Rome-v3", NULL, "EPYC-Rome-v2", .drop = NULL },
    { "EPYC-Rome-v4", NULL, "EPYC-Rome-v3", .drop = "xsaves" },
    { "EPYC-Milan-v1", .brand = "AMD EPYC-Milan Processor", .vendor = "AuthenticAMD", .caches = &x86_caches_milan, ID(25, 1, 1),
      LEVELS(0xd, 0x8000001e), .features = F_MILAN "vme" },
    { "EPYC-Milan-v2", NULL, "EPYC-Milan-v1", .features = "vaes vpclmulqdq stibp-always-on amd-psfd" },
    { "EPYC-Genoa-v1", .brand = "AMD EPYC-Genoa Processor", .vendor = "AuthenticAMD", .caches = &x86_caches_milan, ID(25, 17, 0),
      LEVELS(0xd, 0x80000022),
      .features = F_MILAN "vme vaes vpclmulqdq stibp-always-on amd-psfd la57 gfni avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl "
                  "avx512vbmi avx512vbmi2 avx512vnni avx512bitalg avx512-vpopcntdq avx512-bf16" },
    { "Dhyana-v1", .brand = "Hygon Dhyana Processor", .vendor = "HygonGenuine", .caches = &x86_caches_epyc, ID(24, 0, 1),
      LEVELS(0xd, 0x8000001e), .features = F_ZEN "vme ibpb" },
    { "Dhyana-v2", NULL, "Dhyana-v1", .features = "xsaves" },
};
const unsigned x86_model_count = G_N_ELEMENTS(x86_models);

/* "Haswell" of "Haswell-v1": the family's name means its first version. x86-64-v2 is a name of its own. */
static bool is_family(const char *row, const char *name)
{
    size_t n = strlen(name);

    return strncmp(row, name, n) == 0 && strcmp(row + n, "-v1") == 0 && strcmp(name, "x86-64") != 0;
}

const struct x86_model *x86_model_find(const char *name)
{
    for (unsigned i = 0; name && i < x86_model_count; i++) {
        const struct x86_model *m = &x86_models[i];

        if (strcmp(m->name, name) == 0 || g_strcmp0(m->alias, name) == 0 || is_family(m->name, name)) {
            return m;
        }
    }
    return NULL;
}

const char *x86_model_name(unsigned n)
{
    return n < x86_model_count ? x86_models[n].name : NULL;
}

static void help_line(FILE *out, const char *name, const char *desc)
{
    fprintf(out, "x86 %-25s %s\n", name, desc);
}

void x86_models_help(FILE *out)
{
    uint32_t offered[W_COUNT];
    char text[80];
    unsigned column;

    fprintf(out, "Available CPUs:\n");
    for (unsigned i = 0; i < x86_model_count; i++) {
        const struct x86_model *m = &x86_models[i];
        const char *desc = m->desc ? m->desc : m->brand && *m->brand ? m->brand : m->of && x86_model_find(m->of)->brand ?
                           x86_model_find(m->of)->brand : "";
        size_t n = strlen(m->name);

        if (n > 3 && strcmp(m->name + n - 3, "-v1") == 0 && strcmp(m->name, "x86-64-v1") != 0) {
            g_autofree char *family = g_strndup(m->name, n - 3);
            snprintf(text, sizeof(text), "(alias of %s)", m->name);
            help_line(out, family, text);
        }
        if (m->alias) {
            snprintf(text, sizeof(text), "(alias of %s)", m->name);
            help_line(out, m->alias, text);
        }
        help_line(out, m->name, desc);
    }
    help_line(out, "host", "the host's processor (with -accel kvm only)");
    x86_features_offered(offered);
    for (unsigned have = 2; have-- > 0;) {
        fprintf(out, have ? "\nRecognized CPUID flags:\n" : "\nRecognized, but not implemented here (dropped with a warning, refused with enforce):\n");
        column = 0;
        for (unsigned i = 0; i < x86_feature_count; i++) {
            if ((offered[x86_features[i].word] >> x86_features[i].bit & 1) != have) {
                continue;
            }
            if (column + strlen(x86_features[i].name) + 1 > 78) {
                fprintf(out, "\n");
                column = 0;
            }
            column += fprintf(out, "%s%s", column ? " " : "  ", x86_features[i].name);
        }
        fprintf(out, "\n");
    }
}
