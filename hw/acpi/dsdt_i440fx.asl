/*
 * Board pc: i440FX and PIIX. Slot s, pin p is PIRQ (s - 1 + p) mod 4; PIRQ A, B on IRQ 10, C, D on 11; slot 1's INTA is the SCI, IRQ 9.
 */
DefinitionBlock ("", "DSDT", 2, "EMU", "EMUDSDT", 2)
{
    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_ADR, 0)
            Name (PRTT, Package (128) {})
            Method (_PRT, 0, Serialized)
            {
                Local0 = 0
                While (Local0 < 128)
                {
                    Local1 = Local0 >> 2
                    Local2 = Local0 & 3
                    Local3 = (Local1 + Local2 + 3) & 3
                    Local4 = Package (4) { 0, 0, 0, 0 }
                    Local4[0] = (Local1 << 16) | 0xffff
                    Local4[1] = Local2
                    If (Local0 == 4) { Local4[3] = 9 }
                    ElseIf (Local3 < 2) { Local4[3] = 10 }
                    Else { Local4[3] = 11 }
                    PRTT[Local0] = Local4
                    Local0++
                }
                Return (PRTT)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
            }
        }
    }
    Include ("dsdt_common.asli")
}
