/*
 * What is the same on every machine with this chip set: PCI root, its windows and interrupt routing, RTC, timer, S5.
 * Vcpus and serial ports are in an SSDT made at run time (tables.c). Spec: ACPI 6.3; numbers as in piix4_pm.h and pc.c.
 */
DefinitionBlock ("", "DSDT", 1, "EMU", "EMUDSDT", 1)
{
    /* SLP_TYPa, SLP_TYPb of soft off: PM_SLEEP_S5 */
    Name (\_S5, Package () { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_ADR, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xff, 0, 0x100)
                IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0000, 0x0cf7, 0, 0x0cf8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0x0d00, 0xffff, 0, 0xf300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0, 0x000a0000, 0x000bffff, 0, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xe0000000, 0xfebfffff, 0, 0x1ec00000)
            })

            /* Slot s, pin p is PIRQ (s - 1 + p) mod 4; PIRQ A, B on IRQ 10, C, D on 11; slot 1's INTA is the SCI, IRQ 9. */
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

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x70, 0x70, 1, 2)
                        IRQNoFlags () { 8 }
                    })
                }
                Device (TIMR)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x40, 0x40, 1, 4)
                        IRQNoFlags () { 0 }
                    })
                }
                Device (FWCF)
                {
                    Name (_HID, "QEMU0002")
                    Name (_STA, 0x0b)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x510, 0x510, 1, 0x0c)
                    })
                }
            }
        }
    }
}
