/*
 * Writing AML, the byte code of ACPI's definition blocks (ACPI 6.4, chapter 20).
 *
 * AML is prefix code, so a definition block is written front to back: an operator, then its operands. What has a
 * length (scopes, devices, methods, packages, ifs, ...) is opened, and closed by aml_end(), which puts the PkgLength in.
 *
 *     Aml *a = aml_new();
 *     aml_device(a, "COM1");
 *         aml_name_eisaid(a, "_HID", "PNP0501");
 *         aml_method(a, "_STA", 0, false);
 *             aml_op(a, AML_RETURN), aml_int(a, 0x0f);
 *         aml_end(a);
 *     aml_end(a);
 *     bytes = aml_steal(a);
 *
 * Paths are as in ASL: "\\_SB.PCI0", "^LNKA", "FOO"; segments shorter than four are filled with "_". A malformed path
 * or an unbalanced block is our own bug and asserts. Nothing here knows a machine.
 */
#ifndef HW_ACPI_AML_H
#define HW_ACPI_AML_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Aml Aml;

/* Operators, by their encoding (20.2.5); two-byte ones have 0x5b in the high byte. Operands follow in ASL's order. */
enum {
    AML_LOCAL0 = 0x60, AML_ARG0 = 0x68, AML_STORE = 0x70, AML_ADD = 0x72, AML_SUBTRACT = 0x74, AML_INCREMENT = 0x75,
    AML_SHIFT_LEFT = 0x79, AML_SHIFT_RIGHT = 0x7a, AML_AND = 0x7b, AML_OR = 0x7d, AML_DEREF_OF = 0x83, AML_NOTIFY = 0x86,
    AML_SIZE_OF = 0x87, AML_INDEX = 0x88, AML_CREATE_DWORD_FIELD = 0x8a, AML_LAND = 0x90, AML_LOR = 0x91, AML_LNOT = 0x92,
    AML_LEQUAL = 0x93, AML_LGREATER = 0x94, AML_LLESS = 0x95, AML_RETURN = 0xa4, AML_BREAK = 0xa5,
    AML_NULL_NAME = 0x00, /* no target */
};
enum { AML_SYSTEM_MEMORY, AML_SYSTEM_IO, AML_PCI_CONFIG };
enum { AML_ANY_ACC, AML_BYTE_ACC, AML_WORD_ACC, AML_DWORD_ACC };
enum { AML_PRESERVE = 0 << 5, AML_WRITE_AS_ZEROS = 2 << 5, AML_LOCK = 1 << 4 };

Aml *aml_new(void);
void aml_free(Aml *a);
/* The bytes, owned; frees a. All blocks are closed. */
GByteArray *aml_steal(Aml *a);

void aml_op(Aml *a, unsigned op);
void aml_local(Aml *a, unsigned n);
void aml_arg(Aml *a, unsigned n);
void aml_int(Aml *a, uint64_t value);           /* shortest form */
void aml_string(Aml *a, const char *text);
void aml_path(Aml *a, const char *path);        /* a reference, or the operand where a name is wanted */
void aml_eisaid(Aml *a, const char *id);        /* "PNP0A03" as the integer that it is compressed to (19.3.4) */
void aml_bytes(Aml *a, const void *data, size_t len); /* raw AML */
void aml_buffer(Aml *a, const void *data, size_t len); /* Buffer () { data } */

/* Blocks: closed by aml_end. */
void aml_scope(Aml *a, const char *path);
void aml_device(Aml *a, const char *path);
void aml_processor(Aml *a, const char *path, uint8_t id, uint32_t block, uint8_t block_len);
void aml_method(Aml *a, const char *path, unsigned args, bool serialized);
void aml_if(Aml *a);                            /* then the predicate, then terms */
void aml_else(Aml *a);                          /* directly after the end of an if */
void aml_while(Aml *a);
void aml_package(Aml *a, unsigned count);       /* then count elements */
void aml_field(Aml *a, const char *region, uint8_t access_lock_update); /* then aml_field_* */
void aml_end(Aml *a);

void aml_field_named(Aml *a, const char *name, unsigned bits);
void aml_field_skip(Aml *a, unsigned bits);
void aml_region(Aml *a, const char *path, unsigned space, uint64_t offset, uint64_t len);
void aml_mutex(Aml *a, const char *path, uint8_t level);
void aml_name(Aml *a, const char *path);        /* then the object */
void aml_name_int(Aml *a, const char *path, uint64_t value);
void aml_name_string(Aml *a, const char *path, const char *value);
void aml_name_eisaid(Aml *a, const char *path, const char *id);

/* Resource template (6.4): a buffer that ends in an end tag; closed by aml_end. */
void aml_resources(Aml *a);
enum { AML_WINDOW_MEMORY, AML_WINDOW_IO, AML_WINDOW_BUS };
void aml_res_io(Aml *a, uint16_t base, uint8_t align, uint8_t len);          /* 6.4.2.5, 16-bit decode */
void aml_res_irq(Aml *a, unsigned n);                                        /* 6.4.2.1, edge, active high */
void aml_res_memory32(Aml *a, uint32_t base, uint32_t len, bool writable);   /* 6.4.3.4 */
void aml_res_interrupts(Aml *a, const uint32_t *list, unsigned n);           /* 6.4.3.6: level, high, shared */
/* A window of a bridge from first to last, in descriptors of 16, 32 or 64 bits (6.4.3.5); cacheable: memory only. */
void aml_res_window(Aml *a, unsigned kind, unsigned bits, uint64_t first, uint64_t last, bool cacheable);

#endif
