package org.threegate.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.Json;
import org.threegate.rl.objective.PolicyObjective.Average;

@SuppressWarnings("try")
class ObjectivesTest {
  private static final double ROUNDING = 1e-12;

  private static Tensor tensor(double[] values, long... shape) {
    Tensor tensor = torch.empty(shape, new TensorOptions(ScalarType.Double), null);
    new DoublePointer(tensor.data_ptr()).put(values, 0, values.length);
    return tensor;
  }

  private static double[] numbers(JsonNode node) {
    double[] values = new double[node.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = node.get(i).asDouble();
    }
    return values;
  }

  private static double[] numbers(Tensor tensor) {
    double[] values = new double[(int) tensor.numel()];
    new DoublePointer(tensor.contiguous().data_ptr()).get(values, 0, values.length);
    return values;
  }

  /** Losses, gradients and metrics equal those of TRL's trainers. */
  @ParameterizedTest
  @ValueSource(strings = {"grpo", "bnpo", "dapo", "dr_grpo", "gspo", "cispo", "rloo"})
  void lossesAreThoseOfTrl(String name) {
    JsonNode all = Json.readObject(Path.of("src/test/resources/objectives/trl.json"));
    JsonNode given = all.path("batch");
    JsonNode wanted = all.path("cases").path(name);
    PolicyObjective objective =
        switch (name) {
          case "grpo" -> PolicyObjective.GRPO.withDivergence(Divergence.K3, 0.04);
          case "bnpo" -> PolicyObjective.REINFORCE_PLUS_PLUS;
          case "dapo" -> PolicyObjective.DAPO;
          case "dr_grpo" -> PolicyObjective.drGrpo(given.path("length").asInt());
          case "gspo" -> PolicyObjective.GSPO.withClip(0.05, 0.1);
          case "cispo" -> PolicyObjective.CISPO.withClip(0, 1.3);
          default -> PolicyObjective.RLOO;
        };
    long rows = given.path("rows").asLong();
    long tokens = given.path("tokens").asLong();
    try (PointerScope scope = new PointerScope()) {
      Tensor own = tensor(numbers(given.path("logProbabilities")), rows, tokens);
      own.set_requires_grad(true);
      PolicyBatch batch =
          new PolicyBatch(
              own,
              tensor(numbers(given.path("before")), rows, tokens),
              Optional.of(tensor(numbers(given.path("reference")), rows, tokens)),
              tensor(numbers(given.path("mask")), rows, tokens),
              tensor(numbers(given.path("advantages")), rows));
      Loss loss = objective.loss(batch);
      assertThat(loss.value().item_double())
          .isCloseTo(wanted.path("loss").asDouble(), within(ROUNDING));
      loss.value().backward();
      double[] gradient = numbers(own.grad());
      double[] reference = numbers(wanted.path("gradient"));
      for (int i = 0; i < reference.length; i++) {
        assertThat(gradient[i]).as("gradient " + i).isCloseTo(reference[i], within(ROUNDING));
      }
      wanted
          .path("metrics")
          .properties()
          .forEach(
              metric ->
                  // TRL computes its metrics in float32.
                  assertThat(loss.metrics().get(metric.getKey()))
                      .as(metric.getKey())
                      .isCloseTo(metric.getValue().asDouble(), within(1e-6)));
      if (objective.divergence().isPresent()) {
        PolicyBatch without =
            new PolicyBatch(
                batch.logProbabilities(),
                batch.before(),
                Optional.empty(),
                batch.mask(),
                batch.advantages());
        assertThatThrownBy(() -> objective.loss(without))
            .isInstanceOf(IllegalArgumentException.class);
      }
    }
  }

  @Test
  void advantagesAreThoseByHand() {
    double[] rewards = {1, 0, 0, 3, 5, 5, 5, 5};
    double deviation = Math.sqrt(2);
    assertThat(Advantages.normalised(rewards, 4))
        .usingComparatorWithPrecision(1e-12)
        .containsExactly(
            0,
            -1 / (deviation + 1e-4),
            -1 / (deviation + 1e-4),
            2 / (deviation + 1e-4),
            0,
            0,
            0,
            0);
    assertThat(Advantages.centred(rewards, 4)).containsExactly(0, -1, -1, 2, 0, 0, 0, 0);
    assertThat(Advantages.leaveOneOut(rewards, 4))
        .usingComparatorWithPrecision(1e-12)
        .containsExactly(0, -4.0 / 3, -4.0 / 3, 3 - 1.0 / 3, 0, 0, 0, 0);
    assertThat(Advantages.ofBatch(new double[] {1, 3}))
        .usingComparatorWithPrecision(1e-12)
        .containsExactly(-1 / (deviation + 1e-4), 1 / (deviation + 1e-4));
    assertThat(Advantages.ofBatchWithBaseline(new double[] {1, 3, 7, 7}, 2))
        .usingComparatorWithPrecision(1e-12)
        .containsExactly(-1 / (Math.sqrt(2.0 / 3) + 1e-4), 1 / (Math.sqrt(2.0 / 3) + 1e-4), 0, 0);
    assertThat(Advantages.differing(rewards, 4)).containsExactly(true, false);
    assertThat(Advantages.lengthPenalty(80, 100, 20)).isZero();
    assertThat(Advantages.lengthPenalty(90, 100, 20)).isEqualTo(-0.5);
    assertThat(Advantages.lengthPenalty(100, 100, 20)).isEqualTo(-1);
    assertThat(Advantages.lengthPenalty(500, 100, 20)).isEqualTo(-1);
    assertThatThrownBy(() -> Advantages.normalised(rewards, 3))
        .hasMessage("8 rewards cannot be split into groups of 3 (2 or more)");
    assertThatThrownBy(() -> Advantages.ofBatch(new double[1]))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Advantages.lengthPenalty(1, 10, 0))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void divergencesAreThoseByHand() {
    try (PointerScope scope = new PointerScope()) {
      Tensor own = tensor(new double[] {-1, -2}, 2);
      Tensor reference = tensor(new double[] {-1.5, -1}, 2);
      assertThat(numbers(Divergence.K1.of(own, reference))).containsExactly(0.5, -1);
      assertThat(numbers(Divergence.K2.of(own, reference))).containsExactly(0.125, 0.5);
      assertThat(numbers(Divergence.K3.of(own, reference)))
          .usingComparatorWithPrecision(1e-15)
          .containsExactly(Math.exp(-0.5) - 0.5, Math.E - 2);
    }
  }

  @Test
  void comparisonsAreThoseByHand() {
    try (PointerScope scope = new PointerScope()) {
      Tensor own = tensor(new double[] {-1, -2, -4, -8}, 2, 2);
      Tensor mask = tensor(new double[] {1, 1, 1, 0}, 2, 2);
      assertThat(Comparisons.supervised(own, mask).value().item_double())
          .isCloseTo(7.0 / 3, within(ROUNDING));
      assertThat(
              Comparisons.supervised(own, mask.mul(tensor(new double[1], 1))).value().item_double())
          .isZero();
      Loss loss =
          Comparisons.preference(
              tensor(new double[] {-1, -3}, 2),
              tensor(new double[] {-2, -1}, 2),
              tensor(new double[] {-1.5, -2}, 2),
              tensor(new double[] {-1, -1}, 2),
              0.5);
      // The margins are 0.5 (0.5 + 1) and 0.5 (-1 - 0).
      double expected = (Math.log1p(Math.exp(-0.75)) + Math.log1p(Math.exp(0.5))) / 2;
      assertThat(loss.value().item_double()).isCloseTo(expected, within(ROUNDING));
      assertThat(loss.metrics())
          .isEqualTo(
              Map.of(
                  "rewards/chosen", -0.125,
                  "rewards/rejected", -0.25,
                  "rewards/margins", 0.125,
                  "rewards/accuracies", 0.5));
    }
  }

  @Test
  void whatIsNoObjectiveIsRefused() {
    assertThatThrownBy(() -> PolicyObjective.GRPO.withClip(0, 0.2))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> PolicyObjective.GRPO.withAverage(Average.LENGTH, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> PolicyObjective.GRPO.withDivergence(Divergence.K1, -1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
