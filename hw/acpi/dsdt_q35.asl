/*
 * Board q35: MCH and ICH9. Slots 0 to 24 take PIRQ E + (slot + pin) mod 4, slots 25 to 31 PIRQ A + pin. With the I/O APIC PIRQ A to H are its
 * pins 16 to 23; with the 8259 A, B, E, F are on IRQ 10 and the others on 11, as firmware (and the board without it) sets them.
 */
DefinitionBlock ("", "DSDT", 2, "EMU", "EMUDSDT", 2)
{
    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
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
                    Local3 = Local2
                    If (Local1 < 25) { Local3 = ((Local1 + Local2) & 3) + 4 }
                    Local4 = Package (4) { 0, 0, 0, 0 }
                    Local4[0] = (Local1 << 16) | 0xffff
                    Local4[1] = Local2
                    If (\PICF) { Local4[3] = Local3 + 16 }
                    ElseIf ((Local3 & 3) < 2) { Local4[3] = 10 }
                    Else { Local4[3] = 11 }
                    PRTT[Local0] = Local4
                    Local0++
                }
                Return (PRTT)
            }
            /* PCI Express features the OS may take: PME and capability structures; there is no hot plug and no AER to control. */
            Method (_OSC, 4, NotSerialized)
            {
                CreateDWordField (Arg3, 0, CDW1)
                If (Arg0 == ToUUID ("33db4d5b-1ff7-401c-9657-7441c03dd766"))
                {
                    CreateDWordField (Arg3, 8, CDW3)
                    Local0 = CDW3 & 0x14
                    If (Arg1 != 1) { CDW1 |= 0x08 }
                    If (CDW3 != Local0) { CDW1 |= 0x10 }
                    CDW3 = Local0
                }
                Else { CDW1 |= 0x04 }
                Return (Arg3)
            }

            Device (ISA)
            {
                Name (_ADR, 0x001f0000)
            }
            /* The memory-mapped configuration space is taken. */
            Device (DRAC)
            {
                Name (_HID, EisaId ("PNP0C01"))
                Name (RBUF, ResourceTemplate ()
                {
                    Memory32Fixed (ReadWrite, 0xb0000000, 0x10000000, ECAM)
                })
                CreateDWordField (RBUF, ECAM._BAS, EBAS)
                CreateDWordField (RBUF, ECAM._LEN, ELEN)
                Method (_CRS, 0, Serialized)
                {
                    EBAS = \ECMB
                    ELEN = \ECML
                    Return (RBUF)
                }
            }
        }
    }
    Include ("dsdt_common.asli")
}
