/* Option ROMs of our own, built from assembly here and linked in: what fw_cfg gives as genroms/... */
#ifndef PC_BIOS_OPTIONROM_ROMS_H
#define PC_BIOS_OPTIONROM_ROMS_H

#include <stdint.h>

extern const uint8_t rom_linuxboot[], rom_pvh[];
extern const unsigned rom_linuxboot_size, rom_pvh_size; /* multiples of 512 */

#endif
