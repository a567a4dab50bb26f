/*
 * One row per IR op: who emits it, its opcode, its /digit or ALU number, what the host must
 * have. Opcodes: Intel SDM volume 2. A new op is a row of ops.def and a row here.
 */
#include <cpuid.h>

#include "tcg/x86_64/internal.h"

/* clang-format off */
const X86Row x86_rows[IR_NUM_OPS] = {
    [IR_lds]     = { x86_op_state }, [IR_sts] = { x86_op_state },
    [IR_mov]     = { x86_op_mov },
    [IR_zext]    = { x86_op_extend }, [IR_sext] = { x86_op_extend },
    [IR_extract] = { x86_op_extract }, [IR_deposit] = { x86_op_deposit },
    [IR_lea]     = { x86_op_lea },
    [IR_bswap]   = { x86_op_bswap },

    [IR_add]     = { x86_op_alu, 0, 0, 0, true },
    [IR_or]      = { x86_op_alu, 0, 1, 0, true },
    [IR_adc]     = { x86_op_alu, 0, 2, 0, true },
    [IR_sbb]     = { x86_op_alu, 0, 3 },
    [IR_and]     = { x86_op_alu, 0, 4, 0, true },
    [IR_sub]     = { x86_op_alu, 0, 5 },
    [IR_xor]     = { x86_op_alu, 0, 6, 0, true },
    [IR_cmp]     = { x86_op_alu, 0, 7 },
    [IR_test]    = { x86_op_alu, 0, 8 },
    [IR_inc]     = { x86_op_incdec, 0, 0 }, [IR_dec] = { x86_op_incdec, 0, 1 },
    [IR_neg]     = { x86_op_unary, 0, 3 },
    [IR_not]     = { x86_op_not, 0, 2 },
    [IR_andn]    = { x86_op_vex, 0xf2 | X_0F38, 0, HOST_BMI1 },

    [IR_rol]     = { x86_op_shift, 0, 0 }, [IR_ror] = { x86_op_shift, 0, 1 },
    [IR_rcl]     = { x86_op_shift, 0, 2 }, [IR_rcr] = { x86_op_shift, 0, 3 },
    [IR_shl]     = { x86_op_shift, 0, 4 }, [IR_shr] = { x86_op_shift, 0, 5 },
    [IR_sar]     = { x86_op_shift, 0, 7 },
    [IR_shld]    = { x86_op_shift_double, 0xa4 | X_0F }, [IR_shrd] = { x86_op_shift_double, 0xac | X_0F },
    [IR_shlx]    = { x86_op_vex, 0xf7 | X_0F38 | X_66, 1, HOST_BMI2 },
    [IR_shrx]    = { x86_op_vex, 0xf7 | X_0F38 | X_F2, 1, HOST_BMI2 },
    [IR_sarx]    = { x86_op_vex, 0xf7 | X_0F38 | X_F3, 1, HOST_BMI2 },

    [IR_mul]     = { x86_op_mul },
    [IR_umul2]   = { x86_op_wide, 0, 4 }, [IR_smul2] = { x86_op_wide, 0, 5 },
    [IR_udiv2]   = { x86_op_divide, 0, 6 }, [IR_sdiv2] = { x86_op_divide, 0, 7 },

    [IR_bt]      = { x86_op_bit_test, 0xa3 | X_0F, 4 }, [IR_bts] = { x86_op_bit_test, 0xab | X_0F, 5 },
    [IR_btr]     = { x86_op_bit_test, 0xb3 | X_0F, 6 }, [IR_btc] = { x86_op_bit_test, 0xbb | X_0F, 7 },
    [IR_bsf]     = { x86_op_scan, 0xbc | X_0F }, [IR_bsr] = { x86_op_scan, 0xbd | X_0F },
    [IR_tzcnt]   = { x86_op_scan, 0xbc | X_0F | X_F3, 0, HOST_BMI1 },
    [IR_lzcnt]   = { x86_op_scan, 0xbd | X_0F | X_F3, 0, HOST_LZCNT },
    [IR_popcnt]  = { x86_op_scan, 0xb8 | X_0F | X_F3, 0, HOST_POPCNT },
    [IR_bextr]   = { x86_op_vex, 0xf7 | X_0F38, 1, HOST_BMI1 },
    [IR_bzhi]    = { x86_op_vex, 0xf5 | X_0F38, 1, HOST_BMI2 },
    [IR_pdep]    = { x86_op_vex, 0xf5 | X_0F38 | X_F2, 0, HOST_BMI2 },
    [IR_pext]    = { x86_op_vex, 0xf5 | X_0F38 | X_F3, 0, HOST_BMI2 },
    [IR_blsr]    = { x86_op_vex_unary, 0xf3 | X_0F38, 1, HOST_BMI1 },
    [IR_blsmsk]  = { x86_op_vex_unary, 0xf3 | X_0F38, 2, HOST_BMI1 },
    [IR_blsi]    = { x86_op_vex_unary, 0xf3 | X_0F38, 3, HOST_BMI1 },
    [IR_crc32]   = { x86_op_crc32, 0xf0 | X_0F38 | X_F2, 0, HOST_SSE42 },

    [IR_fmerge]  = { x86_op_fmerge }, [IR_fnot] = { x86_op_fnot },
    [IR_fput]    = { x86_op_fput }, [IR_fint] = { x86_op_fint },
    [IR_cond]    = { x86_op_cond }, [IR_select] = { x86_op_select },

    [IR_ld]      = { x86_op_load }, [IR_st] = { x86_op_store },
    [IR_ldv]     = { x86_op_load_vec }, [IR_stv] = { x86_op_store_vec },
    [IR_rmw_add] = { x86_op_rmw, 0, 0 }, [IR_rmw_or]  = { x86_op_rmw, 0, 1 },
    [IR_rmw_adc] = { x86_op_rmw, 0, 2 }, [IR_rmw_sbb] = { x86_op_rmw, 0, 3 },
    [IR_rmw_and] = { x86_op_rmw, 0, 4 }, [IR_rmw_sub] = { x86_op_rmw, 0, 5 },
    [IR_rmw_xor] = { x86_op_rmw, 0, 6 },
    [IR_rmw_xchg] = { x86_op_rmw },
    [IR_rmw_inc] = { x86_op_rmw, 0xfe, 0 }, [IR_rmw_dec] = { x86_op_rmw, 0xfe, 1 },
    [IR_rmw_not] = { x86_op_rmw, 0xf6, 2 }, [IR_rmw_neg] = { x86_op_rmw, 0xf6, 3 },
    [IR_rmw_bts] = { x86_op_rmw, 0, 5 }, [IR_rmw_btr] = { x86_op_rmw, 0, 6 }, [IR_rmw_btc] = { x86_op_rmw, 0, 7 },
    [IR_cmpxchg] = { x86_op_cmpxchg }, [IR_cmpxchg2] = { x86_op_cmpxchg2 },
    [IR_fence]   = { x86_op_fence },

    [IR_native]    = { x86_op_native },
    [IR_native_m]  = { x86_op_native_mem }, [IR_native_st] = { x86_op_native_mem },
    [IR_native_vi] = { x86_op_native_int }, [IR_native_iv] = { x86_op_native_int },
    [IR_native_x]  = { x86_op_native_x }, [IR_native_xm] = { x86_op_native_mem },

    [IR_call]    = { x86_op_call },
    [IR_insn]    = { x86_op_insn }, [IR_block] = { x86_op_block },
    [IR_br]      = { x86_op_br }, [IR_brcond] = { x86_op_brcond }, [IR_brz] = { x86_op_brz },
    [IR_poll]    = { x86_op_poll }, [IR_icount] = { x86_op_icount },
    [IR_exit]    = { x86_op_exit }, [IR_exit_cond] = { x86_op_exit_cond },
    [IR_exit_ind] = { x86_op_exit_ind }, [IR_push_ret] = { x86_op_push_ret },
    [IR_leave]   = { x86_op_leave },
};
/* clang-format on */

/* CPUID leaves 1, 7, 80000001H and XCR0: what the host has and its kernel keeps. */
static unsigned probe(void)
{
    unsigned a, b, c, d, f = 0;

    __cpuid(1, a, b, c, d);
    f |= (c & bit_POPCNT ? HOST_POPCNT : 0) | (c & bit_SSE4_2 ? HOST_SSE42 : 0);
    if ((c & bit_OSXSAVE) && (c & bit_AVX)) {
        unsigned lo, hi;
        __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        f |= (lo & 6) == 6 ? HOST_AVX : 0;
    }
    __cpuid_count(7, 0, a, b, c, d);
    f |= (b & bit_BMI ? HOST_BMI1 : 0) | (b & bit_BMI2 ? HOST_BMI2 : 0);
    if (!(f & HOST_AVX)) {
        f &= ~(unsigned)(HOST_BMI1 | HOST_BMI2); /* VEX needs the OS to have switched it on */
    }
    __cpuid(0x80000001, a, b, c, d);
    f |= c & bit_LZCNT ? HOST_LZCNT : 0;
    return f;
}

unsigned x86_host_features(void)
{
    static unsigned features = ~0u; /* constant once known; racing writers write the same */
    unsigned f = __atomic_load_n(&features, __ATOMIC_RELAXED);

    if (f == ~0u) {
        f = probe();
        __atomic_store_n(&features, f, __ATOMIC_RELAXED);
    }
    return f;
}

bool x86_has(IrOp op)
{
    unsigned needs = x86_rows[op].needs;

    return (needs & x86_host_features()) == needs;
}

bool x86_has_avx(void)
{
    return x86_host_features() & HOST_AVX;
}
