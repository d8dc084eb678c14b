package org.threegate.rl.objective;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@SuppressWarnings("try")
class ObjectivesTest {
  private static final double ROUNDING = 1e-12;

  private static Tensor tensor(double[] values, long... shape) {
    Tensor tensor = torch.empty(shape, new TensorOptions(ScalarType.Double), null);
    new DoublePointer(tensor.data_ptr()).put(values, 0, values.length);
    return tensor;
  }

  private static double[] numbers(Tensor tensor) {
    double[] values = new double[(int) tensor.numel()];
    new DoublePointer(tensor.contiguous().data_ptr()).get(values, 0, values.length);
    return values;
  }

  private static PolicyBatch batch(Tensor own) {
    return PolicyBatch.of(
        own,
        own.detach(),
        tensor(new double[] {1, 1, 1, 0}, 2, 2),
        tensor(new double[] {1, -1}, 2));
  }

  /** The contributions of parts of an update add up to its loss, gradient and metrics. */
  @ParameterizedTest
  @EnumSource(LossType.class)
  void partsOfAnUpdateAddUp(LossType type) {
    try (PointerScope scope = new PointerScope()) {
      PolicyObjective objective =
          PolicyObjective.builder()
              .loss(type)
              .maxCompletionLength(4)
              .beta(0.1)
              .topEntropyQuantile(0.5)
              .entropyBonus(new EntropyBonus(0.3, Optional.empty()))
              .offPolicyMaskThreshold(0.1)
              .correction(
                  new ImportanceCorrection(
                      ImportanceCorrection.Mode.TOKEN_TRUNCATE,
                      OptionalDouble.empty(),
                      OptionalDouble.of(1.1)))
              .build();
      Tensor own = tensor(new double[] {-1, -2, -0.5, -1.5, -0.3, -0.7}, 3, 2);
      own.set_requires_grad(true);
      PolicyBatch whole = rows(own, 0, 3);
      UpdateTotals totals = UpdateTotals.of(whole, 0.3);
      Loss all = objective.loss(whole, totals);
      all.value().backward();
      double[] gradient = numbers(own.grad());
      own.mutable_grad().reset();
      double sum = 0;
      Map<String, Double> metrics = new HashMap<>();
      for (int begin : new int[] {0, 1}) {
        Loss part = objective.loss(rows(own, begin, begin + 1), totals);
        part.value().backward();
        sum += part.value().item_double();
        part.metrics()
            .forEach(
                (name, value) ->
                    metrics.merge(name, value, (first, next) -> Loss.merged(name, first, next)));
      }
      assertThat(sum).isCloseTo(all.value().item_double(), within(ROUNDING));
      assertThat(numbers(own.grad()))
          .usingComparatorWithPrecision(ROUNDING)
          .containsExactly(gradient);
      assertThat(metrics.keySet()).isEqualTo(all.metrics().keySet());
      all.metrics()
          .forEach(
              (name, value) ->
                  assertThat(metrics.get(name)).as(name).isCloseTo(value, within(1e-7)));
    }
  }

  /** Tokens of an environment may be as good as impossible for the policy. They change nothing. */
  @Test
  void tokensThatDoNotCountHaveNoEffect() {
    for (LossType type : LossType.values()) {
      PolicyObjective.Builder builder =
          PolicyObjective.builder()
              .loss(type)
              .maxCompletionLength(2)
              .beta(0.1)
              .offPolicyMaskThreshold(0.2);
      if (type != LossType.VESPO) {
        builder.level(ImportanceSamplingLevel.SEQUENCE);
      }
      PolicyObjective objective = builder.build();
      double[][] gradients = new double[2][];
      for (int run = 0; run < 2; run++) {
        try (PointerScope scope = new PointerScope()) {
          double unlikely = run == 0 ? -1 : -2000;
          Tensor own = tensor(new double[] {-1, -2, -0.5, unlikely, -0.3, -0.7}, 3, 2);
          own.set_requires_grad(true);
          PolicyBatch batch =
              PolicyBatch.of(
                      own,
                      tensor(new double[] {-1.1, -1.8, -0.5, 0, -0.7, -0.2}, 3, 2),
                      tensor(new double[] {1, 1, 1, 0, 1, 1}, 3, 2),
                      tensor(new double[] {1, -1, 0.5}, 3))
                  .withReference(tensor(new double[] {-1, -1, -1, -1, -1, -1}, 3, 2));
          Loss loss = objective.loss(batch, UpdateTotals.of(batch, 0));
          loss.value().backward();
          gradients[run] = numbers(own.grad());
          assertThat(gradients[run][3]).as(type.toString()).isZero();
          assertThat(loss.metrics().values()).doesNotContain(Double.NaN);
        }
      }
      assertThat(gradients[1]).as(type.toString()).containsExactly(gradients[0]);
    }
  }

  private static PolicyBatch rows(Tensor all, int begin, int count) {
    Tensor own = all.narrow(0, begin, count);
    return PolicyBatch.of(
            own,
            rows(begin, count, -1.1, -1.8, -0.5, -1.4, -0.7, -0.2),
            rows(begin, count, 1, 1, 1, 0, 1, 1),
            tensor(new double[] {1, -1, 0.5}, 3).narrow(0, begin, count))
        .withReference(rows(begin, count, -1, -1, -1, -1, -1, -1))
        .withSampling(rows(begin, count, -1, -2, Double.NaN, -1, -1, -1))
        .withEntropies(own.mul(own))
        .withFocus(rows(begin, count, 1, 0, 1, 0, 0, 1));
  }

  private static Tensor rows(int begin, int count, double... values) {
    return tensor(values, 3, 2).narrow(0, begin, count);
  }

  @Test
  void whatAnObjectiveNeedsIsNamed() {
    try (PointerScope scope = new PointerScope()) {
      PolicyBatch plain = batch(tensor(new double[] {-1, -2, -4, -8}, 2, 2));
      for (PolicyObjective.Builder lacking :
          List.of(
              PolicyObjective.builder().beta(1),
              PolicyObjective.builder().topEntropyQuantile(0.5),
              PolicyObjective.builder().entropyBonus(new EntropyBonus(1, Optional.empty())),
              PolicyObjective.builder()
                  .correction(
                      new ImportanceCorrection(
                          ImportanceCorrection.Mode.SEQUENCE_MASK,
                          OptionalDouble.empty(),
                          OptionalDouble.empty())))) {
        assertThatThrownBy(() -> lacking.build().loss(plain))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("needs");
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
    assertThat(Advantages.scaledByBatch(new double[] {1, 3, 7, 7}, 2))
        .usingComparatorWithPrecision(1e-12)
        .containsExactly(-1 / (3 + 1e-4), 1 / (3 + 1e-4), 0, 0);
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
    for (PolicyObjective.Builder wrong :
        List.of(
            PolicyObjective.builder().clip(0, 0.2),
            PolicyObjective.builder().clip(0.2, 0),
            PolicyObjective.builder().delta(0),
            PolicyObjective.builder().loss(LossType.DR_GRPO),
            PolicyObjective.builder().beta(-1),
            PolicyObjective.builder().topEntropyQuantile(1.1),
            PolicyObjective.builder().offPolicyMaskThreshold(0))) {
      assertThatThrownBy(wrong::build).isInstanceOf(IllegalArgumentException.class);
    }
    assertThatThrownBy(
            () ->
                new ImportanceCorrection(
                    ImportanceCorrection.Mode.TOKEN_TRUNCATE,
                    OptionalDouble.empty(),
                    OptionalDouble.empty()))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
