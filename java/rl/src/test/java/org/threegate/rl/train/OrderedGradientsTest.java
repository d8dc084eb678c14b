package org.threegate.rl.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.optimizer.Sgd;
import org.threegate.rl.policy.GradientSink;
import org.threegate.rl.policy.Tensors;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class OrderedGradientsTest {
  private static final int PARTS = 4;

  private static Tensor filled(float value) {
    return Tensors.of(new float[] {value, value, value, value}, 2, 2);
  }

  private static void part(OrderedGradients gradients, int part, List<Integer> order) {
    try (PointerScope scope = new PointerScope()) {
      if (part == 2) {
        return; // fails before its first gradient
      }
      GradientSink sink = gradients.of(part);
      // The sum of these numbers depends on their order: 1e8 + 1 is 1e8 in float32.
      float[] values = {1e8f, 1, 0, -1e8f};
      sink.whole(0, filled(values[part]));
      sink.rows(1, 1, Tensors.of(new float[] {part, 1}, 1, 2));
      synchronized (order) {
        order.add(part);
      }
      sink.looked(1, Tensors.of(new long[] {0, 0}, 2), filled(0.5f));
    } finally {
      gradients.end(part);
    }
  }

  /** A part that starts early waits for those before it, and one that fails stops none. */
  @Test
  @Timeout(60)
  void gradientsAreAddedInTheOrderOfParts() throws InterruptedException {
    try (PointerScope scope = new PointerScope()) {
      Tensor first = filled(0).requires_grad_(true);
      Tensor second = filled(0).requires_grad_(true);
      try (Optimizer both =
              Optimizer.of(
                  new TreeMap<>(Map.of("first", first, "second", second)),
                  new Sgd(0, false, 0, Double.POSITIVE_INFINITY),
                  Map.of());
          OrderedGradients gradients = new OrderedGradients(both, PARTS)) {
        List<Integer> order = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        for (int part = PARTS - 1; part >= 0; part--) {
          int number = part;
          threads.add(new Thread(() -> part(gradients, number, order)));
          threads.get(threads.size() - 1).start();
          Thread.sleep(20);
        }
        for (Thread thread : threads) {
          thread.join();
        }
        gradients.finish();
        assertThat(order).containsExactly(0, 1, 3);
        assertThat(Tensors.floats(first.grad())).containsOnly(0f); // (1e8 + 1) - 1e8 in float32
        // Three parts looked up row 0 twice, and gave row 1.
        assertThat(Tensors.floats(second.grad())).containsExactly(3, 3, 4, 3);
        both.step(1);
        assertThat(Tensors.floats(second)).containsExactly(-3, -3, -4, -3);
      }
    }
  }
}
