package org.threegate.rl.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.Comparisons;
import org.threegate.rl.objective.Loss;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.TokenMeasures;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.Demonstration;

/**
 * Trains a model to imitate demonstrations: pretraining, supervised fine-tuning, or rejection
 * sampling on the model's own correct answers. The loss is the mean negative log-likelihood over
 * all response tokens of a batch.
 *
 * <pre>{@code
 * List<Demonstration> demonstrations = List.of(new Demonstration("12+34=", "46$"));
 * try (SupervisedTrainer trainer =
 *     SupervisedTrainer.of(
 *         decoder, tokenizer, place -> demonstrations.get(0), SupervisedOptions.of(100, 8, 32, 1e-4, 1), Map.of())) {
 *   trainer.run(event -> System.out.println(event.metrics().get("loss")));
 * }
 * }</pre>
 */
public final class SupervisedTrainer extends Trainer {
  /** An endless sequence of demonstrations. */
  @FunctionalInterface
  public interface Source {
    /**
     * {@return the demonstration at a position}
     *
     * @param place the position, from 0. Positions are requested in order, except when a run is
     *     resumed
     */
    Demonstration at(long place);

    /**
     * {@return a sequence that repeats a list, shuffled again for each pass}
     *
     * @param demonstrations the list, one demonstration at least
     * @param seed the seed of the orders
     */
    static Source of(List<Demonstration> demonstrations, long seed) {
      Order order = new Order(demonstrations.size(), seed);
      return place -> demonstrations.get(order.at(place));
    }
  }

  private final Tokenizer tokenizer;
  private final Source source;
  private final SupervisedOptions options;

  private SupervisedTrainer(
      Decoder policy,
      Tokenizer tokenizer,
      Source source,
      SupervisedOptions options,
      Optimizer optimizer) {
    super(policy, optimizer, options.steps());
    this.tokenizer = tokenizer;
    this.source = source;
    this.options = options;
  }

  /**
   * Creates a trainer.
   *
   * @param policy the model to train. The caller closes it, as everything that is passed here
   * @param tokenizer the tokenizer of the model
   * @param source the texts to imitate
   * @param options the hyperparameters
   * @param masks bool tensors by the names of parameters, true where these may move; parameters
   *     without a mask may move everywhere
   * @return the trainer, which has taken no step
   */
  public static SupervisedTrainer of(
      Decoder policy,
      Tokenizer tokenizer,
      Source source,
      SupervisedOptions options,
      Map<String, Tensor> masks) {
    return new SupervisedTrainer(
        policy,
        tokenizer,
        source,
        options,
        Optimizer.of(policy.trainable(), options.optimizer(), masks));
  }

  /**
   * A tokenized demonstration.
   *
   * @param tokens the tokens of prompt and response
   * @param given the number of prompt tokens, 1 or more, because nothing predicts the first token
   */
  private record Row(int[] tokens, int given) {}

  @Override
  TrainingEvent attempt() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    List<Row> rows = new ArrayList<>();
    int tooLong = 0;
    for (int i = 0; i < options.batch(); i++) {
      Demonstration demonstration = source.at(position++);
      Tokenizer.Surrounding surrounding =
          demonstration.rendered() ? Tokenizer.Surrounding.NONE : tokenizer.surrounding();
      int[] prompt = tokenizer.encode(demonstration.prompt());
      int[] response = tokenizer.encode(demonstration.response());
      int[] text = Arrays.copyOf(prompt, prompt.length + response.length);
      System.arraycopy(response, 0, text, prompt.length, response.length);
      int[] all = surrounding.around(text);
      if (all.length > options.longest()) {
        tooLong++;
        all = Arrays.copyOf(all, options.longest());
      }
      int given = Math.max(1, surrounding.before().size() + prompt.length);
      if (given < all.length) {
        policy.requireTokens(all);
        rows.add(new Row(all, given));
      }
    }
    metrics.put("demonstrations/too_long", (double) tooLong);
    if (rows.isEmpty()) {
      return skipped("no demonstration of the batch has a response token", metrics, List.of());
    }
    long tokens = rows.stream().mapToLong(row -> row.tokens().length - row.given()).sum();
    count(rows.stream().mapToLong(row -> row.tokens().length).sum(), metrics);
    List<Callable<Piece>> pieces = new ArrayList<>();
    for (int begin = 0; begin < rows.size(); begin += options.rows()) {
      List<Row> part = rows.subList(begin, Math.min(rows.size(), begin + options.rows()));
      pieces.add(() -> piece(part, tokens));
    }
    Map<String, Double> learnt = learn(pieces, options.rate(), options.schedule());
    return Double.isFinite(learnt.get("grad_norm"))
        ? taken(metrics, List.of())
        : failed(metrics, List.of());
  }

  private Piece piece(List<Row> part, long tokens) {
    List<int[]> prompts =
        part.stream().map(row -> Arrays.copyOf(row.tokens(), row.given())).toList();
    List<int[]> responses =
        part.stream()
            .map(row -> Arrays.copyOfRange(row.tokens(), row.given(), row.tokens().length))
            .toList();
    int longest = responses.stream().mapToInt(response -> response.length).max().orElseThrow();
    List<int[]> learnt =
        responses.stream()
            .map(
                response -> {
                  int[] ones = new int[response.length];
                  Arrays.fill(ones, 1);
                  return ones;
                })
            .toList();
    Tensor counted = Padded.right(learnt, longest, 0).tokens();
    long own = part.stream().mapToLong(row -> row.tokens().length - row.given()).sum();
    return new Piece(
        TextParts.of(policy, prompts, responses, 1, options.checkpointed()),
        (double) own / tokens,
        TokenMeasures.Entropies.MEASURED,
        measures -> {
          Tensor ones = counted.to(measures.logProbabilities().scalar_type());
          double entropy = measures.entropies().orElseThrow().mul(ones).sum().item_double();
          return new Loss(
              Comparisons.supervised(measures.logProbabilities(), counted).value(),
              Map.of("entropy", entropy / own));
        });
  }
}
