package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.kernel.Context;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class DifferentiationTest {
  private static final Path DECODERS = Path.of("src/test/resources/decoders");

  @AfterEach
  void allThreads() {
    Threads.use(Runtime.getRuntime().availableProcessors());
  }

  private static Padded texts() {
    return Padded.left(List.of(new int[] {3, 4, 5, 6, 7}, new int[] {8, 9, 10, 2}), 5, 0);
  }

  private static List<float[]> gradients(Decoder model, boolean checkpointed) {
    List<float[]> values = new ArrayList<>();
    try (PointerScope scope = new PointerScope()) {
      for (Optional<Tensor> gradient :
          new Differentiation(model, texts(), 0.8, 2, 3, checkpointed)
              .of(chosen -> chosen.exp().mean().neg())) {
        // An expert that no token chose has none.
        values.add(gradient.map(Tensors::floats).orElseGet(() -> new float[0]));
        gradient.ifPresent(Tensor::close);
      }
    }
    return values;
  }

  /**
   * The models cover tied embeddings, biases, sliding windows, norms of heads, sinks, experts,
   * delta rules.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "llama",
        "llama-tied-biased",
        "mistral-window",
        "qwen3",
        "gemma3",
        "gpt-oss",
        "qwen3-moe",
        "qwen3-moe-fused",
        "qwen3-5",
        "qwen3-5-moe",
        "qwen3-next"
      })
  void activationsThatAreComputedAgainGiveTheSameGradients(String name) {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, DECODERS.resolve(name))) {
      List<float[]> plain = gradients(model, false);
      long objects = Pointer.totalCount();
      List<float[]> again = gradients(model, true);
      assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
      assertThat(plain).hasSize(model.parameters().size());
      for (int i = 0; i < plain.size(); i++) {
        float[] wanted = plain.get(i);
        assertThat(again.get(i)).hasSameSizeAs(wanted);
        for (int j = 0; j < wanted.length; j++) {
          assertThat((double) again.get(i)[j])
              .isCloseTo(wanted[j], within(1e-6 + 1e-4 * Math.abs(wanted[j])));
        }
      }
    }
  }

  /** A bf16 parameter is its rounded float32 master, which small steps change nevertheless. */
  @Test
  void parametersInBf16HaveMasters() {
    String name = "model.layers.0.mlp.up_proj.weight";
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("llama"), Decoder.Storage.BF16);
        Optimizer optimizer = Optimizer.of(model.parameters(), AdamW.DEFAULT, Map.of())) {
      float[] before = Tensors.floats(model.parameters().get(name));
      Tensor master = optimizer.state().get("master:" + name);
      float[] masterBefore = Tensors.floats(master);
      List<Optional<Tensor>> gradients =
          new Differentiation(model, texts(), 1, 1, 4, false).of(chosen -> chosen.mean().neg());
      optimizer.add(gradients);
      gradients.forEach(gradient -> gradient.ifPresent(Tensor::close));
      optimizer.step(1e-6);
      float[] masterAfter = Tensors.floats(master);
      float[] after = Tensors.floats(model.parameters().get(name));
      int moved = 0;
      int hidden = 0;
      for (int i = 0; i < before.length; i++) {
        moved += masterAfter[i] != masterBefore[i] ? 1 : 0;
        hidden += masterAfter[i] != masterBefore[i] && after[i] == before[i] ? 1 : 0;
        // Round to the nearest bf16 value, ties to even.
        int bits = Float.floatToRawIntBits(masterAfter[i]);
        int rounded = (bits + 0x7fff + (bits >>> 16 & 1)) & 0xffff0000;
        assertThat(Float.floatToRawIntBits(after[i])).isEqualTo(rounded);
      }
      assertThat(moved).isGreaterThan(before.length / 2);
      assertThat(hidden).isGreaterThan(moved / 2);
    }
  }

  @Test
  void partsComeInOrderAndFailuresAreTold() {
    for (int threads : new int[] {1, 3}) {
      Threads.use(threads);
      AtomicInteger running = new AtomicInteger();
      List<Callable<Integer>> parts = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        int number = i;
        parts.add(
            () -> {
              assertThat(running.incrementAndGet()).isLessThanOrEqualTo(threads);
              Thread.sleep(20 - number);
              running.decrementAndGet();
              return number;
            });
      }
      List<Integer> taken = new ArrayList<>();
      Threads.map(parts, taken::add);
      assertThat(taken).hasSize(20).isSorted();
      parts.set(
          5,
          () -> {
            running.decrementAndGet();
            throw new IllegalStateException("on purpose");
          });
      running.set(1);
      taken.clear();
      assertThatThrownBy(() -> Threads.map(parts.subList(5, 9), taken::add))
          .hasMessage("on purpose");
      assertThat(taken).isEmpty();
    }
    // Nested calls do not wait for each other, so they cannot deadlock.
    List<Integer> inner = Collections.synchronizedList(new ArrayList<>());
    Callable<Integer> outer =
        () -> {
          Threads.map(List.<Callable<Integer>>of(() -> 1, () -> 2), inner::add);
          return 3;
        };
    Threads.map(List.of(outer, outer), inner::add);
    assertThat(inner).containsExactlyInAnyOrder(1, 2, 1, 2, 3, 3);
    assertThatThrownBy(() -> Threads.use(0)).isInstanceOf(IllegalArgumentException.class);
  }
}
