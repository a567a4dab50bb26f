/* What rows of decode-fp.def need for their arguments. */
#ifndef TARGET_I386_GEN_FP_H
#define TARGET_I386_GEN_FP_H

#endif
