#include "textflag.h"

// ALL makes a register of sixteen times one byte.
#define ALL(bytes, X) \
	MOVQ       $bytes, AX; \
	MOVQ       AX, X;      \
	PUNPCKLQDQ X, X

// MARK moves the top bits of the bytes of X into place in a mask.
#define MARK(X, shift, mask) \
	PMOVMSKB X, AX;      \
	SHLQ     $shift, AX; \
	ORQ      AX, mask

// SIXTEEN marks sixteen bytes. A byte is a control character when it is the
// lesser of itself and 0x1F.
#define SIXTEEN(at) \
	MOVOU   at(SI)(DX*1), X0;  \
	MOVO    X0, X1;            \
	MOVO    X0, X2;            \
	MOVO    X0, X3;            \
	PCMPEQB X4, X1;            \
	PCMPEQB X5, X2;            \
	PMINUB  X6, X3;            \
	PCMPEQB X0, X3;            \
	MARK(X1, at, R8);          \
	MARK(X2, at, R9);          \
	MARK(X3, at, R10);         \
	MARK(X0, at, R11)

// func stride(b []byte) (at int, quotes, slashes, controls, beyond uint64)
TEXT ·stride(SB), NOSPLIT, $0-64
	MOVQ b_base+0(FP), SI
	MOVQ b_len+8(FP), CX
	ALL(0x2222222222222222, X4)
	ALL(0x5C5C5C5C5C5C5C5C, X5)
	ALL(0x1F1F1F1F1F1F1F1F, X6)
	XORL DX, DX
	XORL R8, R8
	XORL R9, R9
	XORL R10, R10
	XORL R11, R11
	SUBQ $64, CX

block:
	CMPQ DX, CX
	JGT  done
	SIXTEEN(0)
	SIXTEEN(16)
	SIXTEEN(32)
	SIXTEEN(48)
	MOVQ R8, AX
	ORQ  R9, AX
	ORQ  R10, AX
	ORQ  R11, AX
	JNZ  done
	ADDQ $64, DX
	JMP  block

done:
	MOVQ DX, at+24(FP)
	MOVQ R8, quotes+32(FP)
	MOVQ R9, slashes+40(FP)
	MOVQ R10, controls+48(FP)
	MOVQ R11, beyond+56(FP)
	RET
