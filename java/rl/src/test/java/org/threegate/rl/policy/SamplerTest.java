package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
class SamplerTest {
  private static final int[] PROMPT = {3, 9, 17, 4};
  private static final int DRAWS = 20_000;

  private Context context;
  private Decoder model;

  @BeforeEach
  void load() {
    context = Context.open();
    model = Decoder.load(context, Path.of("src/test/resources/decoders/qwen2"));
  }

  @AfterEach
  void close() {
    model.close();
    context.close();
  }

  private static SamplingOptions.Builder options() {
    return SamplingOptions.builder(1, List.of());
  }

  private double[] probabilities(double temperature) {
    double[] weights = new double[model.config().vocabulary()];
    Scopes.run(
        () -> {
          Padded rows = Padded.right(List.of(PROMPT), PROMPT.length, 0);
          float[] logits = Tensors.floats(model.logits(rows.tokens(), rows.mask()));
          for (int i = 0; i < weights.length; i++) {
            weights[i] = Math.exp(logits[(PROMPT.length - 1) * weights.length + i] / temperature);
          }
        });
    double sum = Arrays.stream(weights).sum();
    return Arrays.stream(weights).map(weight -> weight / sum).toArray();
  }

  private static long[] seeds(int count) {
    return IntStream.range(0, count).mapToLong(i -> 1000 + i).toArray();
  }

  private double[] drawn(SamplingOptions options) {
    List<Completion> completions =
        Sampler.complete(model, Collections.nCopies(DRAWS, PROMPT), options, seeds(DRAWS));
    double[] counts = new double[model.config().vocabulary()];
    completions.forEach(completion -> counts[completion.tokens()[0]] += 1.0 / DRAWS);
    return counts;
  }

  private static void expect(double[] counts, double[] wanted) {
    for (int i = 0; i < wanted.length; i++) {
      double error = Math.sqrt(wanted[i] * (1 - wanted[i]) / DRAWS);
      assertThat(counts[i]).as("token " + i).isCloseTo(wanted[i], within(5 * error + 1e-9));
    }
  }

  @Test
  void tokensComeAsOftenAsTheirProbabilitiesSay() {
    expect(drawn(options().temperature(1.7).build()), probabilities(1.7));
  }

  @Test
  void onlyTheLikeliestAreDrawn() {
    double[] all = probabilities(1);
    double[] sorted = Arrays.stream(all).map(p -> -p).sorted().map(p -> -p).toArray();
    double[] four = Arrays.stream(all).map(p -> p >= sorted[3] ? p : 0).toArray();
    double sum = Arrays.stream(four).sum();
    expect(drawn(options().topK(4).build()), Arrays.stream(four).map(p -> p / sum).toArray());
    // This is slightly more than the share of the first two tokens, so a third is included.
    double share = sorted[0] + sorted[1] + 1e-4;
    double[] three = Arrays.stream(all).map(p -> p >= sorted[2] ? p : 0).toArray();
    double whole = Arrays.stream(three).sum();
    expect(
        drawn(options().topP(share).build()), Arrays.stream(three).map(p -> p / whole).toArray());
    double[] first = new double[all.length];
    first[IntStream.range(0, all.length).filter(i -> all[i] == sorted[0]).findFirst().getAsInt()] =
        1;
    expect(drawn(options().temperature(0).build()), first);
    expect(drawn(options().topP(1e-9).build()), first);
  }

  /** A completion does not depend on the other prompts that are completed with it. */
  @Test
  void companyDoesNotMatter() {
    List<int[]> prompts =
        List.of(PROMPT, new int[] {5}, new int[] {8, 8, 8, 20, 21, 22, 3}, PROMPT);
    long[] seeds = {1, 2, 3, 4};
    SamplingOptions options =
        SamplingOptions.builder(12, List.of(2, 7, 11, 15))
            .topP(0.95)
            .topK(20)
            .minP(0.01)
            .repetitionPenalty(1.1)
            .build();
    List<Completion> together = Sampler.complete(model, prompts, options, seeds);
    List<Integer> lengths = new ArrayList<>();
    for (int i = 0; i < seeds.length; i++) {
      Completion own = together.get(i);
      Completion alone =
          Sampler.complete(model, List.of(prompts.get(i)), options, new long[] {seeds[i]}).get(0);
      assertThat(own.tokens()).isEqualTo(alone.tokens());
      assertThat(own.stopped()).isEqualTo(alone.stopped());
      lengths.add(own.tokens().length);
      int last = own.tokens()[own.tokens().length - 1];
      assertThat(own.stopped()).isEqualTo(options.stops().contains(last));
      assertThat(own.stopped() || own.tokens().length == 12).isTrue();
      // The reported probabilities equal those from one pass over the whole text.
      int[] text =
          IntStream.concat(Arrays.stream(prompts.get(i)), Arrays.stream(own.tokens())).toArray();
      Scopes.run(
          () -> {
            Padded row = Padded.right(List.of(text), text.length + 2, 0);
            float[] all = Tensors.floats(model.logProbabilities(row.tokens(), row.mask(), 1));
            for (int j = 0; j < own.tokens().length; j++) {
              assertThat(own.logProbabilities()[j])
                  .isCloseTo(all[text.length - own.tokens().length - 1 + j], within(1e-4f));
            }
          });
    }
    assertThat(Set.copyOf(lengths).size()).isGreaterThan(1);
    assertThat(together.get(0).tokens()).isNotEqualTo(together.get(3).tokens());
  }

  @Test
  void memoryStaysFlat() {
    SamplingOptions options = SamplingOptions.plain(8, List.of());
    List<int[]> prompts = Collections.nCopies(64, PROMPT);
    Runnable once = () -> Sampler.complete(model, prompts, options, seeds(64));
    once.run();
    long objects = Pointer.totalCount();
    long bytes = Pointer.physicalBytes();
    for (int i = 0; i < 100; i++) {
      once.run();
    }
    assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
    assertThat(Pointer.physicalBytes() - bytes).isLessThan(64L << 20);
  }

  @Test
  void whatCannotBeDrawnIsRefused() {
    SamplingOptions options = SamplingOptions.plain(3, List.of());
    assertThat(Sampler.complete(model, List.of(), options, new long[0])).isEmpty();
    assertThatThrownBy(() -> Sampler.complete(model, List.of(PROMPT), options, new long[2]))
        .hasMessage("there must be one seed per prompt, but there are 2 seeds and 1 prompts");
    assertThatThrownBy(() -> Sampler.complete(model, List.of(new int[0]), options, new long[1]))
        .hasMessage("a prompt has no tokens");
    assertThatThrownBy(() -> Sampler.complete(model, List.of(new int[] {24}), options, new long[1]))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("token 24 of a vocabulary of 24");
    assertThatThrownBy(() -> options().temperature(-1).build())
        .hasMessage("temperature must be 0 or more, and finite");
  }
}
