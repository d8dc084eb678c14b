package org.threegate.rl.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.kernel.Context;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
class ObserverContextTest {
  /** Sentences from before there is a receiver are not lost, and none is told twice. */
  @Test
  void whatFindsNoMemoryIsLeftOutAndToldOnce() {
    List<String> sentences = new ArrayList<>();
    try (Context context = Context.open();
        ObserverContext contexts = new ObserverContext(context)) {
      int[] calls = new int[1];
      for (int step = 0; step < 2; step++) {
        assertThat(
                contexts.measureAndRelease(
                    "the divergence",
                    given -> {
                      calls[0]++;
                      throw new IllegalStateException(
                          "CUDA out of memory. Tried to allocate 2 GiB");
                    }))
            .isEmpty();
      }
      assertThat(calls[0]).isEqualTo(4);
      contexts.tell(sentences::add);
      assertThat(contexts.measure("the divergence", Context::threads)).contains(context.threads());
    }
    assertThat(sentences)
        .containsExactly(
            "the divergence is measured on the CPU, because the GPU has too little free memory",
            "the divergence is left out, because the GPU has too little free memory");
  }

  @Test
  void otherFailuresAreThrown() {
    try (Context context = Context.open();
        ObserverContext contexts = new ObserverContext(context)) {
      RuntimeException failure = new IllegalStateException("CUDA error: an illegal memory access");
      assertThatThrownBy(
              () ->
                  contexts.measure(
                      "the divergence",
                      given -> {
                        throw failure;
                      }))
          .isSameAs(failure);
    }
  }
}
