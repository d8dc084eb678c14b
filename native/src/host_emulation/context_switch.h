// Switching between the stacks of emulated threads, for each architecture.
#ifndef THREEGATE_HOST_EMULATION_CONTEXT_SWITCH_H
#define THREEGATE_HOST_EMULATION_CONTEXT_SWITCH_H

// Saves the registers that a function must preserve on the stack, and continues where another call saved them.
extern "C" void emulation_switch(void** save, void* load);

#if defined(__x86_64__)
__asm__(R"(
.text
.type emulation_switch, @function
emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulation_switch, .-emulation_switch
.section .note.GNU-stack,"",@progbits
.text
)");
#elif defined(__aarch64__)
__asm__(R"(
.text
.type emulation_switch, %function
emulation_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x2, sp
  str x2, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size emulation_switch, .-emulation_switch
.section .note.GNU-stack,"",%progbits
.text
)");
#else
#error "the emulated device knows x86-64 and AArch64; configure with -DTHREEGATE_BUILD_TESTS=OFF"
#endif

namespace emulation {

// Writes what emulation_switch expects below the top of an unused stack, so that it continues in `enter`. Returns the pointer to
// load.
inline void* first_frame(void** top, void (*enter)()) {
#if defined(__x86_64__)
  constexpr int kRegisters = 6;
  *--top = nullptr;  // keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(enter);
  for (int i = 0; i < kRegisters; ++i) {
    *--top = nullptr;
  }
#elif defined(__aarch64__)
  constexpr int kRegisters = 20;
  constexpr int kReturnAddress = 11;
  for (int i = 0; i < kRegisters; ++i) {
    *--top = nullptr;
  }
  top[kReturnAddress] = reinterpret_cast<void*>(enter);
#endif
  return top;
}

}  // namespace emulation

#endif  // THREEGATE_HOST_EMULATION_CONTEXT_SWITCH_H
