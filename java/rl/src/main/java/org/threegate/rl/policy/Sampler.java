package org.threegate.rl.policy;

import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.run.InvalidInputException;

/**
 * Samples completions of many prompts in batches. Each completion has a random number generator, so
 * that it does not depend on the other prompts. It can still differ in rounding, because matrix
 * products of other sizes may sum in another order.
 *
 * <pre>{@code
 * List<Completion> completions =
 *     Sampler.complete(
 *         decoder, List.of(new int[] {1, 5, 7}), SamplingOptions.plain(10, List.of(2)), new long[] {42});
 * }</pre>
 */
public final class Sampler {
  private static final int MOST_ROWS =
      128; // of a batch, so that keys and values fit into CPU caches

  private static final int WORTH_PACKING = 16; // tokens of a completion

  private Sampler() {}

  /** A prompt and the state of its completion. */
  private static final class Row {
    private static final FinishReason LENGTH = new FinishReason.Length();

    final int index;
    final int[] prompt;
    final SplittableRandom random;
    final int[] tokens;
    final float[] logProbabilities;
    int length;
    FinishReason finish = LENGTH;

    Row(int index, int[] prompt, long seed, int longest) {
      this.index = index;
      this.prompt = prompt;
      this.random = new SplittableRandom(seed);
      this.tokens = new int[longest];
      this.logProbabilities = new float[longest];
    }

    void add(int token, float logProbability, SamplingOptions options, StopStrings stopStrings) {
      tokens[length] = token;
      logProbabilities[length] = logProbability;
      length++;
      if (options.stops().contains(token)) {
        finish = new FinishReason.EndToken(token);
      } else {
        stopStrings
            .at(prompt, tokens, length)
            .ifPresent(text -> finish = new FinishReason.StopString(text));
      }
    }

    boolean isDone() {
      return finish.isWhole() || length == tokens.length;
    }

    Completion completion(long version) {
      return new Completion(
          Arrays.copyOf(tokens, length), Arrays.copyOf(logProbabilities, length), finish, version);
    }

    /** Returns prompt and completion so far. */
    int[] text() {
      int[] text = Arrays.copyOf(prompt, prompt.length + length);
      System.arraycopy(tokens, 0, text, prompt.length, length);
      return text;
    }
  }

  /** The request of a batch, and what its rows share. */
  private record Batch(
      Decoder model,
      CompletionRequest request,
      StopStrings stopStrings,
      Optional<PackedMatrices> matrices) {
    SamplingOptions options() {
      return request.options();
    }
  }

  /**
   * Samples one completion for each prompt.
   *
   * @param model the model
   * @param prompts the token ids of the prompts, at least one token each
   * @param options how tokens are sampled, without stop strings
   * @param seeds one seed per prompt
   * @return the completions, in the order of the prompts
   */
  public static List<Completion> complete(
      Decoder model, List<int[]> prompts, SamplingOptions options, long[] seeds) {
    if (!options.stopStrings().isEmpty()) {
      throw new IllegalArgumentException("stop_strings need a tokenizer");
    }
    return complete(model, StopStrings.NONE, new CompletionRequest(prompts, options, seeds, 0));
  }

  /** Samples the completions of a request. All have the version that is asked for. */
  static List<Completion> complete(Decoder model, Tokenizer tokenizer, CompletionRequest request) {
    return complete(model, StopStrings.of(tokenizer, request.options().stopStrings()), request);
  }

  private static List<Completion> complete(
      Decoder model, StopStrings stopStrings, CompletionRequest request) {
    long[] seeds = request.seeds();
    request.prompts().forEach(model::requireTokens);
    if (request.options().longest() < WORTH_PACKING) {
      return complete(model, stopStrings, request, Optional.empty());
    }
    try (PackedMatrices matrices = model.packed(Math.min(MOST_ROWS, seeds.length))) {
      return complete(model, stopStrings, request, Optional.of(matrices));
    }
  }

  private static List<Completion> complete(
      Decoder model,
      StopStrings stopStrings,
      CompletionRequest request,
      Optional<PackedMatrices> matrices) {
    long[] seeds = request.seeds();
    List<Callable<List<Completion>>> parts = new ArrayList<>();
    for (int begin = 0; begin < seeds.length; begin += MOST_ROWS) {
      int end = Math.min(seeds.length, begin + MOST_ROWS);
      CompletionRequest own =
          new CompletionRequest(
              request.prompts().subList(begin, end),
              request.options(),
              Arrays.copyOfRange(seeds, begin, end),
              request.version());
      parts.add(() -> together(new Batch(model, own, stopStrings, matrices)));
    }
    List<Completion> all = new ArrayList<>();
    Threads.map(parts, all::addAll);
    return List.copyOf(all);
  }

  private static List<Completion> together(Batch batch) {
    List<int[]> prompts = batch.request().prompts();
    int longest = batch.options().longest();
    int width = prompts.stream().mapToInt(prompt -> prompt.length).max().orElseThrow();
    List<Row> rows = new ArrayList<>();
    for (int i = 0; i < prompts.size(); i++) {
      rows.add(new Row(i, prompts.get(i), batch.request().seeds()[i], longest));
    }
    Completion[] done = new Completion[prompts.size()];
    // Equal prompts share one forward pass.
    Map<IntBuffer, Integer> places = new LinkedHashMap<>();
    long[] shared = new long[prompts.size()];
    for (int i = 0; i < shared.length; i++) {
      Integer place = places.putIfAbsent(IntBuffer.wrap(prompts.get(i)), places.size());
      shared[i] = place == null ? places.size() - 1 : place;
    }
    List<int[]> distinct = places.keySet().stream().map(IntBuffer::array).toList();
    try (KeyValueCache cache = batch.model().cache(distinct.size(), width + longest - 1)) {
      Scopes.run(
          () -> {
            Tensor logits = begin(batch.model(), distinct, width, shared, cache);
            batch.matrices().ifPresent(cache::use);
            run(batch, logits, rows, done, cache);
          });
    }
    return List.of(done);
  }

  /**
   * Computes the logits of the first tokens.
   *
   * @param shared the index of the prompt of each row
   */
  private static Tensor begin(
      Decoder model, List<int[]> prompts, int width, long[] shared, KeyValueCache cache) {
    Padded padded = Padded.left(prompts, width, model.config().tokens().padding());
    Tensor logits = model.next(padded.tokens(), padded.mask(), cache);
    if (prompts.size() == shared.length) {
      return logits;
    }
    Tensor rows = Tensors.of(shared, shared.length);
    cache.select(rows);
    return logits.index_select(0, rows);
  }

  private static void run(
      Batch batch, Tensor first, List<Row> all, Completion[] done, KeyValueCache cache) {
    List<Row> rows = new ArrayList<>(all);
    Tensor logits = first;
    for (int step = 1; ; step++) {
      long[] drawn = draw(batch, logits, rows);
      List<Integer> going = new ArrayList<>();
      for (int i = 0; i < rows.size(); i++) {
        Row row = rows.get(i);
        // Finished rows stay in the batch until half of the rows are finished.
        if (done[row.index] == null && row.isDone()) {
          done[row.index] = row.completion(batch.request().version());
        }
        if (done[row.index] == null) {
          going.add(i);
        }
      }
      logits.close();
      if (going.isEmpty()) {
        return;
      }
      if (2 * going.size() <= rows.size()) {
        long[] kept = going.stream().mapToLong(Integer::longValue).toArray();
        long[] tokens = drawn;
        drawn = Arrays.stream(kept).map(i -> tokens[(int) i]).toArray();
        rows = new ArrayList<>(going.stream().map(rows::get).toList());
        Scopes.run(() -> cache.select(Tensors.of(kept, kept.length)));
      }
      logits = step(batch.model(), drawn, cache);
    }
  }

  private static Tensor step(Decoder model, long[] tokens, KeyValueCache cache) {
    return Scopes.keep(
        () -> {
          Tensor next = Tensors.of(tokens, tokens.length, 1);
          return model.next(next, next.ge(new Scalar(0)), cache);
        });
  }

  /** Samples a token for each row. Rows that are not finished append theirs. */
  private static long[] draw(Batch batch, Tensor logits, List<Row> rows) {
    SamplingOptions options = batch.options();
    long[] tokens = new long[rows.size()];
    Scopes.run(
        () -> {
          double temperature = options.temperature() == 0 ? 1 : options.temperature();
          Tensor logProbabilities = logits.div(new Scalar(temperature)).log_softmax(-1);
          List<int[]> texts =
              options.repetitionPenalty() == 1 ? List.of() : rows.stream().map(Row::text).toList();
          Tensor drawn = drawn(logits, logProbabilities, texts, rows, options);
          float[] chosen = Tensors.floats(logProbabilities.gather(1, drawn));
          long[] found = Tensors.longs(drawn);
          for (int i = 0; i < found.length; i++) {
            if (Float.isNaN(chosen[i])) {
              throw new InvalidInputException(
                  batch.model().where()
                      + ": the logits are not finite; the weights are damaged or too large");
            }
            Row row = rows.get(i);
            if (!row.isDone()) {
              row.add((int) found[i], chosen[i], options, batch.stopStrings());
            }
            tokens[i] = found[i];
          }
        });
    return tokens;
  }

  private static Tensor drawn(
      Tensor logits,
      Tensor logProbabilities,
      List<int[]> texts,
      List<Row> rows,
      SamplingOptions options) {
    if (options.temperature() == 0) {
      return LogitsProcessors.penalised(logits, texts, options).argmax(new LongOptional(-1), true);
    }
    float[] uniform = new float[rows.size()];
    for (int i = 0; i < uniform.length; i++) {
      // The uniform number must stay below 1 in float32, too.
      uniform[i] = (rows.get(i).random.nextInt() >>> 8) * 0x1p-24f;
    }
    Tensor places = Tensors.of(uniform, uniform.length, 1).to(ScalarType.Double);
    Tensor kept =
        LogitsProcessors.isPlain(options)
            ? logProbabilities
            : LogitsProcessors.logProbabilities(logits, texts, options);
    return at(kept.exp().to(ScalarType.Double), places);
  }

  /** Returns the first index at which the cumulative sum exceeds a share of the total. */
  private static Tensor at(Tensor weights, Tensor shares) {
    Tensor sums = weights.cumsum(1);
    Tensor wanted = shares.mul(sums.narrow(1, sums.size(1) - 1, 1));
    // Counting the sums that do not exceed it never selects an entry with weight zero.
    return sums.le(wanted).sum(new long[] {1}, true, null);
  }
}
