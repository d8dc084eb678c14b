package org.threegate.rl.optimizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.threegate.checkpoint.Json;
import org.threegate.rl.policy.Tensors;

@SuppressWarnings("try")
class AdamWTest {
  private static final float ROUNDING = 1e-6f;

  private static float[] floats(JsonNode node) {
    float[] values = new float[node.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) node.get(i).asDouble();
    }
    return values;
  }

  private static void expect(Tensor found, JsonNode wanted) {
    float[] values = Tensors.floats(found);
    float[] expected = floats(wanted);
    for (int i = 0; i < expected.length; i++) {
      assertThat(values[i]).isCloseTo(expected[i], within(ROUNDING));
    }
  }

  /** Gives a parameter the stated gradient, by a backward pass through a product. */
  private static void differentiate(Tensor parameter, float[] gradient, long... shape) {
    parameter.mul(Tensors.of(gradient, shape)).sum().backward();
  }

  @Test
  void stepsAreThoseOfTorch() {
    JsonNode record = Json.readObject(Path.of("src/test/resources/optimizer/adamw.json"));
    try (PointerScope scope = new PointerScope()) {
      Tensor matrix = Tensors.of(floats(record.path("matrix")), 3, 4).requires_grad_(true);
      Tensor vector = Tensors.of(floats(record.path("vector")), 4).requires_grad_(true);
      Map<String, Tensor> parameters = new LinkedHashMap<>();
      parameters.put("matrix", matrix);
      parameters.put("vector", vector);
      Schedule schedule = Schedule.cosine(3, 7, 0.1);
      try (Optimizer optimizer =
          Optimizer.of(parameters, new AdamW(0.9, 0.95, 1e-8, 0.1, 1.5), Map.of())) {
        for (JsonNode step : record.path("steps")) {
          double rate = 0.05 * schedule.at(optimizer.steps());
          assertThat(rate).isCloseTo(step.path("rate").asDouble(), within(1e-12));
          differentiate(matrix, floats(step.path("gradients").get(0)), 3, 4);
          differentiate(vector, floats(step.path("gradients").get(1)), 4);
          assertThat(optimizer.step(rate)).isCloseTo(step.path("norm").asDouble(), within(1e-5));
          expect(matrix, step.path("matrix"));
          expect(vector, step.path("vector"));
        }
        assertThat(optimizer.steps()).isEqualTo(7);
      }
    }
  }

  /** Frozen coordinates keep their exact bits, even signed zeros, and with weight decay. */
  @Test
  void frozenCoordinatesKeepTheirBits() {
    float[] begin = {1.5f, -0.0f, 0.0f, Float.MIN_VALUE, -3e30f, 7};
    try (PointerScope scope = new PointerScope()) {
      Tensor parameter = Tensors.of(begin, 2, 3).requires_grad_(true);
      Tensor mask = Tensors.of(new long[] {0, 0, 0, 0, 0, 1}, 2, 3).to(ScalarType.Bool);
      AdamW options = new AdamW(0.9, 0.999, 1e-8, 0.5, 1);
      try (Optimizer optimizer = Optimizer.of(Map.of("w", parameter), options, Map.of("w", mask))) {
        for (int step = 0; step < 20; step++) {
          differentiate(parameter, new float[] {3, -1, 2, 1, 1, 0.5f}, 2, 3);
          // The norm is that of the trainable coordinate, so the others do not affect clipping.
          assertThat(optimizer.step(0.1)).isCloseTo(0.5, within(1e-6));
        }
        float[] end = Tensors.floats(parameter);
        for (int i = 0; i < 5; i++) {
          assertThat(Float.floatToRawIntBits(end[i])).isEqualTo(Float.floatToRawIntBits(begin[i]));
        }
        assertThat(end[5]).isLessThan(6);
      }
      assertThatThrownBy(() -> Optimizer.of(Map.of("w", parameter), options, Map.of("v", mask)))
          .hasMessage("the mask of \"v\" does not match a parameter");
      assertThatThrownBy(
              () ->
                  Optimizer.of(Map.of("w", parameter), options, Map.of("w", mask.narrow(0, 0, 1))))
          .hasMessage("the mask of \"w\" does not match a parameter");
    }
  }

  @Test
  void aGradientThatIsNotFiniteMovesNothing() {
    try (PointerScope scope = new PointerScope()) {
      Tensor parameter = Tensors.of(new float[] {1, 2}, 2).requires_grad_(true);
      try (Optimizer optimizer = Optimizer.of(Map.of("w", parameter), AdamW.DEFAULT, Map.of())) {
        differentiate(parameter, new float[] {1, Float.NaN}, 2);
        assertThat(optimizer.step(0.1)).isNaN();
        assertThat(Tensors.floats(parameter)).containsExactly(1, 2);
        assertThat(optimizer.steps()).isZero();
        // The gradient that was not finite is discarded.
        differentiate(parameter, new float[] {3, 4}, 2);
        assertThat(optimizer.step(0.1)).isCloseTo(5, within(1e-5));
        assertThat(Tensors.floats(parameter)[0]).isCloseTo(0.9f, within(1e-4f));
      }
    }
  }

  /** A parameter without a gradient has one of 0 where others have one, as an unused expert. */
  @Test
  void parametersWithoutAGradientGoOnByTheirMean() {
    List<float[]> ends = new ArrayList<>();
    for (boolean zero : new boolean[] {false, true}) {
      try (PointerScope scope = new PointerScope()) {
        Tensor used = Tensors.of(new float[] {1, 2}, 1, 2).requires_grad_(true);
        Tensor other = Tensors.of(new float[] {3, 4}, 1, 2).requires_grad_(true);
        Map<String, Tensor> both = new LinkedHashMap<>(Map.of("other", other));
        both.put("used", used);
        AdamW options = new AdamW(0.9, 0.999, 1e-8, 0.5, 1);
        try (Optimizer optimizer = Optimizer.of(both, options, Map.of())) {
          differentiate(used, new float[] {1, 1}, 1, 2);
          differentiate(other, new float[] {1, -1}, 1, 2);
          optimizer.step(0.1);
          float[] before = Tensors.floats(other);
          differentiate(used, new float[] {1, 1}, 1, 2);
          if (zero) {
            differentiate(other, new float[] {0, 0}, 1, 2);
          }
          optimizer.step(0.1);
          assertThat(Tensors.floats(other)).isNotEqualTo(before);
          ends.add(Tensors.floats(other));
          optimizer.step(0.1);
          assertThat(Tensors.floats(other)).isEqualTo(ends.get(ends.size() - 1));
        }
      }
    }
    assertThat(ends.get(0)).isEqualTo(ends.get(1));
  }

  /** A resumed optimizer takes the same steps to the last bit, and no step leaks memory. */
  @Test
  void stateMayBeCopied() {
    try (PointerScope scope = new PointerScope()) {
      Tensor first = Tensors.of(new float[] {1, 2, 3, 4}, 2, 2).requires_grad_(true);
      Tensor second = Tensors.of(new float[] {1, 2, 3, 4}, 2, 2).requires_grad_(true);
      float[] gradient = {0.3f, -1, 0.2f, 5};
      try (Optimizer one = Optimizer.of(Map.of("w", first), AdamW.DEFAULT, Map.of());
          Optimizer other = Optimizer.of(Map.of("w", second), AdamW.DEFAULT, Map.of())) {
        for (int step = 0; step < 5; step++) {
          differentiate(first, gradient, 2, 2);
          one.step(0.01);
        }
        Map<String, Tensor> to = other.state();
        one.state().forEach((key, tensor) -> to.get(key).detach().copy_(tensor.detach()));
        other.resume(one.steps());
        for (int step = 0; step < 5; step++) {
          differentiate(first, gradient, 2, 2);
          differentiate(second, gradient, 2, 2);
          one.step(0.01);
          other.step(0.01);
        }
        assertThat(Tensors.floats(second)).isEqualTo(Tensors.floats(first));
        long objects = Pointer.totalCount();
        for (int step = 0; step < 200; step++) {
          try (PointerScope inner = new PointerScope()) {
            first.mul(new Scalar(2.0)).sum().backward();
          }
          one.step(0.01);
        }
        assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
      }
    }
  }

  @Test
  void schedulesRiseAndFall() {
    assertThat(Schedule.constant().at(1000)).isEqualTo(1);
    Schedule warm = Schedule.constant(4);
    assertThat(Arrays.asList(warm.at(0), warm.at(3), warm.at(9))).containsExactly(0.25, 1.0, 1.0);
    Schedule line = Schedule.linear(2, 6, 0.2);
    assertThat(line.at(0)).isEqualTo(0.5);
    assertThat(line.at(2)).isEqualTo(1);
    assertThat(line.at(4)).isCloseTo(0.6, within(1e-12));
    assertThat(line.at(60)).isCloseTo(0.2, within(1e-12));
    assertThatThrownBy(() -> Schedule.cosine(5, 5, 0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new AdamW(1, 0.9, 1e-8, 0, 1))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** Large parameters move in slices of entries, with the results of small ones. */
  @Test
  void slicesMoveAsWholeParametersDo() {
    int count = 140_000;
    float[] weights = new float[count];
    float[] gradients = new float[count];
    for (int i = 0; i < count; i++) {
      weights[i] = (float) Math.sin(i);
      gradients[i] = (float) Math.cos(3 * i);
    }
    AdamW rule = new AdamW(0.9, 0.99, 1e-8, 0.1, Double.POSITIVE_INFINITY);
    try (PointerScope scope = new PointerScope()) {
      Tensor large = Tensors.of(weights, count, 1).requires_grad_(true);
      Tensor masked = Tensors.of(weights, count, 1).requires_grad_(true);
      int begin = 131_064; // across the end of a slice
      Tensor small =
          Tensors.of(Arrays.copyOfRange(weights, begin, begin + 16), 16, 1).requires_grad_(true);
      Tensor some = Tensors.of(gradients, count, 1).gt(new Scalar(0.0));
      try (Optimizer whole = Optimizer.of(Map.of("w", large), rule, Map.of());
          Optimizer part = Optimizer.of(Map.of("w", small), rule, Map.of());
          Optimizer only = Optimizer.of(Map.of("w", masked), rule, Map.of("w", some))) {
        for (int step = 0; step < 3; step++) {
          whole.add(0, Tensors.of(gradients, count, 1));
          only.add(0, Tensors.of(gradients, count, 1));
          part.add(0, Tensors.of(Arrays.copyOfRange(gradients, begin, begin + 16), 16, 1));
          whole.step(0.01);
          only.step(0.01);
          part.step(0.01);
        }
        float[] moved = Tensors.floats(large);
        float[] own = Tensors.floats(small);
        for (int i = 0; i < own.length; i++) {
          // Vector and scalar code may differ in the last bit of each step.
          assertThat(own[i]).isCloseTo(moved[begin + i], within(4 * Math.ulp(1f)));
          assertThat(own[i]).isNotEqualTo(weights[begin + i]);
        }
        float[] held = Tensors.floats(masked);
        for (int i = 0; i < count; i++) {
          assertThat(held[i]).isEqualTo(gradients[i] > 0 ? moved[i] : weights[i]);
        }
      }
    }
  }
}
