package org.threegate.rl.optimizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.checkpoint.Json;
import org.threegate.rl.policy.Tensors;

/** Tests SGD and Muon against PyTorch, and what all update rules have in common. */
@SuppressWarnings("try")
class UpdateRuleTest {
  private static final float ROUNDING = 2e-6f;

  /** PyTorch orthogonalizes in bfloat16. Its six steps differ by 1e-3 from those in float64. */
  private static final float BF16 = 2e-3f;

  private static final long[][] SHAPES = {{3, 5}, {6, 2}, {4}};
  private static final AdamW OTHERS = new AdamW(0.9, 0.95, 1e-8, 0, 1.5);

  private static float[] floats(JsonNode node) {
    float[] values = new float[node.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) node.get(i).asDouble();
    }
    return values;
  }

  private static UpdateRule rule(String name) {
    return switch (name) {
      case "sgd" -> new Sgd(0.9, false, 0.1, 1.5);
      case "sgd-nesterov" -> new Sgd(0.9, true, 0.1, 1.5);
      case "sgd-plain" -> new Sgd(0, false, 0.1, 1.5);
      case "muon-original" -> new Muon(0.9, false, 5, Muon.Scaling.ORIGINAL, 1, 0.1, OTHERS);
      default -> new Muon(0.9, true, 5, Muon.Scaling.MATCH_RMS_ADAMW, 1, 0.1, OTHERS);
    };
  }

  private static Tensor leaf(float[] values, long... shape) {
    return Tensors.of(values, shape).requires_grad_(true);
  }

  /** Gives a parameter the stated gradient, by a backward pass through a product. */
  private static void differentiate(Tensor parameter, float[] gradient, long... shape) {
    parameter.mul(Tensors.of(gradient, shape)).sum().backward();
  }

  @ParameterizedTest
  @CsvSource({"sgd", "sgd-nesterov", "sgd-plain", "muon", "muon-original", "muon-bf16"})
  void stepsAreThoseOfTorch(String name) {
    JsonNode record =
        Json.readObject(Path.of("src/test/resources/optimizer/optimizers.json")).path(name);
    float tolerance = name.equals("muon-bf16") ? BF16 : ROUNDING;
    try (PointerScope scope = new PointerScope()) {
      Map<String, Tensor> parameters = new LinkedHashMap<>();
      for (int i = 0; i < SHAPES.length; i++) {
        parameters.put("p" + i, leaf(floats(record.path("begin").get(i)), SHAPES[i]));
      }
      try (Optimizer optimizer = Optimizer.of(parameters, rule(name), Map.of())) {
        for (JsonNode step : record.path("steps")) {
          for (int i = 0; i < SHAPES.length; i++) {
            differentiate(
                parameters.get("p" + i), floats(step.path("gradients").get(i)), SHAPES[i]);
          }
          assertThat(optimizer.step(0.05)).isCloseTo(step.path("norm").asDouble(), within(1e-5));
          for (int i = 0; i < SHAPES.length; i++) {
            float[] values = Tensors.floats(parameters.get("p" + i));
            float[] expected = floats(step.path("parameters").get(i));
            for (int j = 0; j < values.length; j++) {
              assertThat(values[j]).isCloseTo(expected[j], within(tolerance));
            }
          }
        }
        assertThat(optimizer.steps()).isEqualTo(record.path("steps").size());
      }
    }
  }

  /** Muon leaves embeddings, the head and vectors to AdamW, and has a rate of its own. */
  @Test
  void muonMovesHiddenMatrices() {
    float[] begin = {1, 2, 3, 4};
    float[] gradient = {0.1f, -0.2f, 0.3f, 0.1f};
    Muon muon = new Muon(0, false, 5, Muon.Scaling.ORIGINAL, 10, 0, AdamW.DEFAULT);
    try (PointerScope scope = new PointerScope()) {
      Map<String, Tensor> parameters = new LinkedHashMap<>();
      for (String name :
          List.of("model.embed_tokens.weight", "lm_head.weight", "model.layers.0.a.weight")) {
        parameters.put(name, leaf(begin, 2, 2));
      }
      parameters.put("model.norm.weight", leaf(begin, 4));
      Tensor alone = leaf(begin, 2, 2);
      try (Optimizer optimizer = Optimizer.of(parameters, muon, Map.of());
          Optimizer adamw = Optimizer.of(Map.of("a", alone), AdamW.DEFAULT, Map.of())) {
        assertThat(optimizer.state().keySet())
            .containsExactly(
                "master:model.embed_tokens.weight",
                "mean:model.embed_tokens.weight",
                "squares:model.embed_tokens.weight",
                "master:lm_head.weight",
                "mean:lm_head.weight",
                "squares:lm_head.weight",
                "master:model.layers.0.a.weight",
                "momentum:model.layers.0.a.weight",
                "master:model.norm.weight",
                "mean:model.norm.weight",
                "squares:model.norm.weight");
        parameters.forEach((name, own) -> differentiate(own, gradient, own.sizes().vec().get()));
        differentiate(alone, gradient, 2, 2);
        optimizer.step(1e-3);
        adamw.step(1e-3);
        float[] others = Tensors.floats(alone);
        parameters.forEach(
            (name, own) -> {
              if (!name.contains("layers")) {
                assertThat(Tensors.floats(own)).isEqualTo(others);
              }
            });
        // The singular values of the step are the rate times its ratio, to within the iterations.
        Tensor step =
            parameters.get("model.layers.0.a.weight").detach().sub(Tensors.of(begin, 2, 2));
        float[] gram = Tensors.floats(step.matmul(step.t()));
        assertThat(gram[0]).isBetween(0.4e-4f, 1.6e-4f);
        assertThat(gram[3]).isBetween(0.4e-4f, 1.6e-4f);
        assertThat(gram[1]).isCloseTo(0, within(0.5e-4f));
      }
    }
  }

  /** Frozen coordinates keep their bits, with momentum, weight decay and orthogonalization. */
  @ParameterizedTest
  @CsvSource({"sgd-nesterov", "muon"})
  void frozenCoordinatesKeepTheirBits(String name) {
    float[] begin = {1.5f, -0.0f, 0.0f, Float.MIN_VALUE, -3e30f, 7};
    try (PointerScope scope = new PointerScope()) {
      Tensor parameter = leaf(begin, 2, 3);
      Tensor mask = Tensors.of(new long[] {0, 0, 0, 0, 0, 1}, 2, 3).to(ScalarType.Bool);
      try (Optimizer optimizer =
          Optimizer.of(Map.of("w", parameter), rule(name), Map.of("w", mask))) {
        for (int step = 0; step < 20; step++) {
          differentiate(parameter, new float[] {3, -1, 2, 1, 1, 0.5f}, 2, 3);
          assertThat(optimizer.step(0.1)).isCloseTo(0.5, within(1e-6));
        }
        float[] end = Tensors.floats(parameter);
        for (int i = 0; i < 5; i++) {
          assertThat(Float.floatToRawIntBits(end[i])).isEqualTo(Float.floatToRawIntBits(begin[i]));
        }
        assertThat(end[5]).isLessThan(6.5f);
      }
    }
  }

  /** A resumed optimizer takes the same steps to the last bit, and no step leaks memory. */
  @ParameterizedTest
  @CsvSource({"sgd", "sgd-plain", "muon"})
  void stateMayBeCopied(String name) {
    float[] begin = {1, 2, 3, 4};
    float[] gradient = {0.3f, -1, 0.2f, 5};
    try (PointerScope scope = new PointerScope()) {
      Tensor first = leaf(begin, 2, 2);
      Tensor second = leaf(begin, 2, 2);
      try (Optimizer one = Optimizer.of(Map.of("w", first), rule(name), Map.of());
          Optimizer other = Optimizer.of(Map.of("w", second), rule(name), Map.of())) {
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
            differentiate(first, gradient, 2, 2);
          }
          one.step(0.01);
        }
        assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
      }
    }
  }

  /** A matrix without a gradient direction does not become NaN. */
  @Test
  void aZeroGradientMovesNothing() {
    try (PointerScope scope = new PointerScope()) {
      Tensor parameter = leaf(new float[] {1, 2, 3, 4}, 2, 2);
      try (Optimizer optimizer = Optimizer.of(Map.of("w", parameter), Muon.DEFAULT, Map.of())) {
        differentiate(parameter, new float[4], 2, 2);
        optimizer.step(0.1);
        assertThat(Tensors.floats(parameter)).containsExactly(1, 2, 3, 4);
      }
    }
  }

  @Test
  void hyperparametersAreChecked() {
    assertThatThrownBy(() -> new Sgd(1, false, 0, 1)).hasMessageContaining("momentum");
    assertThatThrownBy(() -> new Sgd(0, true, 0, 1)).hasMessageContaining("nesterov");
    assertThatThrownBy(() -> new Sgd(0.9, false, -1, 1)).hasMessageContaining("weightDecay");
    Muon.Scaling scaling = Muon.Scaling.ORIGINAL;
    assertThatThrownBy(() -> new Muon(-0.1, true, 5, scaling, 1, 0, OTHERS))
        .hasMessageContaining("momentum");
    assertThatThrownBy(() -> new Muon(0.9, true, 0, scaling, 1, 0, OTHERS))
        .hasMessageContaining("iterations must be from 1 to 99");
    assertThatThrownBy(() -> new Muon(0.9, true, 5, scaling, 0, 0, OTHERS))
        .hasMessageContaining("rateRatio");
  }
}
