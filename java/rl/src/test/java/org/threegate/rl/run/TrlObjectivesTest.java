package org.threegate.rl.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.threegate.checkpoint.Json;
import org.threegate.rl.objective.Divergence;
import org.threegate.rl.objective.Loss;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.objective.UpdateTotals;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.train.TrainingOptions;

/**
 * Holds advantages, losses, gradients and metrics against those of TRL's trainers, over the grid of
 * options of {@code make_objectives.py}. A configuration gets the options under TRL's names, and
 * all others keep their defaults.
 */
@SuppressWarnings("try")
class TrlObjectivesTest {
  // The fixture has 8 digits, of values below 10.
  private static final double ROUNDING = 1e-6;
  // TRL computes many metrics in float32.
  private static final double METRIC_ROUNDING = 2e-6;
  private static final int LEAST_CELLS = 400;

  private static JsonNode batch;
  private static JsonNode cells;
  private static int width;

  @BeforeAll
  static void read() {
    // Scopes load the libraries. Threads of libtorch would only wait for each other on few numbers.
    Scopes.run(() -> torch.set_num_threads(1));
    JsonNode all = Json.readObject(Path.of("src/test/resources/objectives/trl.json"));
    batch = all.path("batch");
    cells = all.path("cells");
    width = batch.path("longest").asInt();
  }

  @Test
  void everythingIsAsInTrl() {
    assertThat(cells.size()).isGreaterThanOrEqualTo(LEAST_CELLS);
    int updates = 0;
    int withTools = 0;
    for (JsonNode cell : cells) {
      try (PointerScope scope = new PointerScope()) {
        updates += compare(cell);
        withTools += cell.path("options").path("tools").asBoolean() ? 1 : 0;
      }
    }
    assertThat(withTools).isGreaterThanOrEqualTo(100);
    assertThat(updates).isGreaterThan(cells.size());
  }

  private static int compare(JsonNode cell) {
    TrainingConfig config = config(cell);
    TrainingOptions options = Composition.reinforcement(config, List.of(1));
    double temperature = options.sampling().temperature();
    int count = batch.path("completions").size();
    List<Integer> every = IntStream.range(0, count).boxed().toList();
    boolean[] counted = new boolean[count];
    for (int i = 0; i < count; i++) {
      JsonNode tokens = batch.path("completions").get(i);
      counted[i] =
          !options.isTruncatedMasked()
              || tokens.get(tokens.size() - 1).asInt() == batch.path("end").asInt();
    }
    boolean hasTools = cell.path("options").path("tools").asBoolean();
    Measures before = measures(table("before"), every, temperature, counted, hasTools);
    Measures reference = measures(table("reference"), every, temperature, counted, hasTools);
    double[] divergences =
        numbers(
            Divergence.K1
                .of(before.chosen, reference.chosen)
                .mul(before.mask)
                .sum(new long[] {1}, false, null));
    double[] advantages =
        options
            .rewards()
            .advantages(scores(cell), divergences, options.advantages(), options.group());
    assertClose(cell, "advantages", advantages, numbers(cell.path("advantages")));
    double stepTokens = before.mask.sum().item_double() / options.miniBatches();
    for (int update = 0; update < options.miniBatches(); update++) {
      int size = count / options.miniBatches();
      List<Integer> rows = every.subList(update * size, (update + 1) * size);
      compare(
          cell, cell.path("updates").get(update), options, rows, counted, advantages, stepTokens);
    }
    assertThat(cell.path("updates").size()).isEqualTo(options.miniBatches());
    return options.miniBatches();
  }

  private static void compare(
      JsonNode cell,
      JsonNode wanted,
      TrainingOptions options,
      List<Integer> rows,
      boolean[] counted,
      double[] advantages,
      double stepTokens) {
    PolicyObjective objective = options.objective();
    double temperature = options.sampling().temperature();
    boolean hasTools = cell.path("options").path("tools").asBoolean();
    Tensor policy = table("policy");
    policy.set_requires_grad(true);
    Measures own = measures(policy, rows, temperature, counted, hasTools);
    Measures before = measures(table("before"), rows, temperature, counted, hasTools);
    boolean isOnPolicy =
        options.miniBatches() * options.iterations() == 1
            && objective.correction().isEmpty()
            && !cell.path("trainer").asText().equals("RLOOTrainer");
    PolicyBatch given =
        PolicyBatch.of(
                own.chosen,
                isOnPolicy ? own.chosen.detach() : before.chosen,
                own.mask,
                tensor(rows.stream().mapToDouble(i -> advantages[i]).toArray(), rows.size()))
            .withReference(
                measures(table("reference"), rows, temperature, counted, hasTools).chosen)
            .withSampling(sampled(rows, hasTools))
            .withEntropies(own.entropies);
    if (objective.isFocused()) {
      Tensor known = own.entropies.detach().masked_select(own.mask.to(ScalarType.Bool));
      float least = objective.leastEntropy(Tensors.floats(known));
      given =
          given.withFocus(
              own.entropies.detach().ge(new Scalar((double) least)).to(ScalarType.Double));
    }
    UpdateTotals whole = UpdateTotals.of(given, objective.entropyBonus().coef());
    Loss loss =
        objective.loss(
            given,
            new UpdateTotals(
                whole.completions(),
                whole.tokens(),
                stepTokens,
                whole.focusTokens(),
                whole.entropyCoefficient()));
    loss.value().backward();
    assertClose(
        cell,
        "loss",
        new double[] {loss.value().item_double() + constant(cell, rows, counted, advantages)},
        new double[] {wanted.path("loss").asDouble()});
    assertClose(cell, "gradient", numbers(policy.grad()), numbers(wanted.path("gradient")));
    wanted
        .path("metrics")
        .properties()
        .forEach(
            metric -> {
              // The divergence of RLOO is in its reward, and known before the update.
              assertThat(loss.metrics().get(metric.getKey()))
                  .as(cell.path("options") + " " + metric.getKey())
                  .isCloseTo(metric.getValue().asDouble(), within(METRIC_ROUNDING));
            });
  }

  /** RLOO's loss in TRL also has the advantages of masked completions, without a gradient. */
  private static double constant(
      JsonNode cell, List<Integer> rows, boolean[] counted, double[] advantages) {
    return cell.path("trainer").asText().equals("RLOOTrainer")
        ? -rows.stream().filter(i -> !counted[i]).mapToDouble(i -> advantages[i]).sum()
            / rows.size()
        : 0;
  }

  private static TrainingConfig config(JsonNode cell) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("prompts_per_step", batch.path("prompts").size() / batch.path("group").asInt());
    values.put("num_generations", batch.path("group").asInt());
    values.put("max_completion_length", width);
    if (cell.path("trainer").asText().equals("RLOOTrainer")) {
      values.put("algorithm", "rloo");
    }
    cell.path("options")
        .properties()
        .forEach(
            option -> {
              switch (option.getKey()) {
                // With vLLM, TRL corrects by default.
                case "use_vllm" -> values.put("vllm_importance_sampling_correction", true);
                case "functions", "tools" -> {}
                default ->
                    values.put(
                        option.getKey(),
                        option.getValue().isNull() ? Optional.empty() : option.getValue());
              }
            });
    return TrainingConfigs.of(values);
  }

  private static double[][] scores(JsonNode cell) {
    JsonNode functions = cell.path("options").path("functions");
    int[] chosen =
        functions.isMissingNode()
            ? new int[] {0}
            : IntStream.range(0, functions.size()).map(i -> functions.get(i).asInt()).toArray();
    double[][] scores = new double[batch.path("completions").size()][chosen.length];
    for (int i = 0; i < scores.length; i++) {
      for (int j = 0; j < chosen.length; j++) {
        scores[i][j] = number(batch.path("rewards").get(chosen[j]).get(i));
      }
    }
    return scores;
  }

  private record Measures(Tensor chosen, Tensor entropies, Tensor mask) {}

  /**
   * Measures completions under a table of logits by the token before.
   *
   * @param hasTools whether an environment wrote some of the tokens
   */
  private static Measures measures(
      Tensor table, List<Integer> rows, double temperature, boolean[] counted, boolean hasTools) {
    long[] last = new long[rows.size() * width];
    long[] next = new long[last.length];
    double[] mask = new double[last.length];
    for (int i = 0; i < rows.size(); i++) {
      JsonNode prompt = batch.path("prompts").get(rows.get(i));
      JsonNode completion = batch.path("completions").get(rows.get(i));
      long token = prompt.get(prompt.size() - 1).asLong();
      for (int j = 0; j < completion.size(); j++) {
        last[i * width + j] = token;
        token = completion.get(j).asLong();
        next[i * width + j] = token;
        mask[i * width + j] = counted[rows.get(i)] && isOwn(rows.get(i), j, hasTools) ? 1 : 0;
      }
    }
    Tensor logarithms =
        table
            .index_select(0, Tensors.of(last, last.length))
            .div(new Scalar(temperature))
            .log_softmax(-1)
            .view(rows.size(), width, -1);
    Tensor indices = Tensors.of(next, rows.size(), width, 1);
    return new Measures(
        logarithms.gather(-1, indices).squeeze(-1),
        logarithms.exp().mul(logarithms).sum(-1).neg(),
        tensor(mask, rows.size(), width));
  }

  private static Tensor table(String name) {
    long tokens = batch.path("vocabulary").asLong();
    return tensor(numbers(batch.path(name)), tokens, tokens);
  }

  /** Returns whether the policy sampled a token. */
  private static boolean isOwn(int row, int token, boolean hasTools) {
    return !hasTools || batch.path("tool_mask").get(row).get(token).asInt() == 1;
  }

  private static Tensor sampled(List<Integer> rows, boolean hasTools) {
    double[] values = new double[rows.size() * width];
    for (int i = 0; i < rows.size(); i++) {
      JsonNode own = batch.path("sampled").get(rows.get(i));
      for (int j = 0; j < own.size(); j++) {
        values[i * width + j] = isOwn(rows.get(i), j, hasTools) ? number(own.get(j)) : 0;
      }
    }
    return tensor(values, rows.size(), width);
  }

  private static Tensor tensor(double[] values, long... shape) {
    Tensor tensor = torch.empty(shape, new TensorOptions(ScalarType.Double), null);
    new DoublePointer(tensor.data_ptr()).put(values, 0, values.length);
    return tensor;
  }

  private static double number(JsonNode node) {
    return node.isNull() ? Double.NaN : node.asDouble();
  }

  private static double[] numbers(JsonNode node) {
    List<Double> values = new ArrayList<>();
    node.forEach(value -> values.add(number(value)));
    return values.stream().mapToDouble(Double::doubleValue).toArray();
  }

  private static double[] numbers(Tensor tensor) {
    double[] values = new double[(int) tensor.numel()];
    new DoublePointer(tensor.contiguous().data_ptr()).get(values, 0, values.length);
    return values;
  }

  private static void assertClose(JsonNode cell, String what, double[] own, double[] wanted) {
    assertThat(own.length).isEqualTo(wanted.length);
    for (int i = 0; i < own.length; i++) {
      assertThat(own[i])
          .as(cell.path("trainer").asText() + " " + cell.path("options") + " " + what + " " + i)
          .isCloseTo(wanted[i], within(ROUNDING));
    }
  }
}
