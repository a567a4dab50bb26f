/*
 * What clients and guests are told about who we are: the one place. Clients and guests have these values written
 * into their code and their drivers' tables, so they are those of the emulator that is replaced; Kestrel
 * names itself in the package string. Sources: observed replies and guest-visible bytes of version 10.0.2.
 */
#ifndef UTIL_VERSION_H
#define UTIL_VERSION_H

/* query-version, -version; the package is ours. */
#define VERSION_MAJOR 10
#define VERSION_MINOR 0
#define VERSION_MICRO 2
#define VERSION_TEXT "10.0.2"
#define KESTREL_VERSION "0.1.0"
#define VERSION_PACKAGE "Kestrel " KESTREL_VERSION
/* First line of -version; clients read the number after "version ". */
#define VERSION_LINE_SYSTEM "QEMU emulator version " VERSION_TEXT " (" VERSION_PACKAGE ")"
/* linux-user: "qemu-x86_64 version ..." */
#define VERSION_LINE_USER_FMT "qemu-%s version " VERSION_TEXT " (" VERSION_PACKAGE ")"
/* tools: "qemu-img version ..." */
#define VERSION_LINE_TOOL_FMT "%s version " VERSION_TEXT " (" VERSION_PACKAGE ")"

/* fw_cfg: key 0x0000, and the DMA interface's signature read as big-endian 64 bits. */
#define FW_CFG_SIGNATURE "QEMU"
#define FW_CFG_DMA_SIGNATURE 0x51454d5520434647ull /* "QEMU CFG" */
#define FW_CFG_ACPI_HID "QEMU0002"

/* DMI (SMBIOS types 1 to 4 and 17); product and version are the machine's name. */
#define DMI_MANUFACTURER "QEMU"

/* ACPI table headers: OEM id (6 bytes), OEM table id (8), creator id (4), revisions. */
#define ACPI_OEM_ID "BOCHS "
#define ACPI_OEM_TABLE_ID "BXPC    "
#define ACPI_CREATOR_ID "BXPC"
#define ACPI_OEM_REVISION 1
#define ACPI_CREATOR_REVISION 1

/* ATA and ATAPI IDENTIFY; the serial number is made with the drive's number. */
#define ATA_MODEL_DISK "QEMU HARDDISK"
#define ATA_MODEL_CDROM "QEMU DVD-ROM"
#define ATA_MODEL_CF "QEMU MICRODRIVE"
#define ATA_SERIAL_FMT "QM%05d"
/* Firmware revision of ATA, SCSI and USB disks since machine version 2.5. */
#define HW_VERSION "2.5+"

/* SCSI INQUIRY: 8 and 16 bytes, space-padded by the user of these. */
#define SCSI_VENDOR "QEMU"
#define SCSI_PRODUCT_DISK "QEMU HARDDISK"
#define SCSI_PRODUCT_CDROM "QEMU CD-ROM"

/* NVMe IDENTIFY CONTROLLER, model number. */
#define NVME_MODEL "QEMU NVMe Ctrl"

/* PCI subsystem ids of devices that have none of their own. */
#define PCI_SUBVENDOR_ID_DEFAULT 0x1af4
#define PCI_SUBDEVICE_ID_DEFAULT 0x1100

/* CPUID: leaf 0x40000000 EBX ECX EDX; brand string of the qemu64 family of models. */
#define CPUID_HV_SIGNATURE_TCG "TCGTCGTCGTCG"
#define CPUID_HV_SIGNATURE_KVM "KVMKVMKVM\0\0\0"
#define CPUID_BRAND_QEMU "QEMU Virtual CPU version " HW_VERSION

#endif
