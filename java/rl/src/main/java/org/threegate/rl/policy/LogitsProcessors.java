package org.threegate.rl.policy;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The distribution that tokens are drawn from, as transformers' logits processors make it of
 * logits: repetition penalty, temperature, top-k, top-p, min-p, in this order.
 */
final class LogitsProcessors {
  private LogitsProcessors() {}

  /** Returns whether tokens are drawn from the whole distribution at the temperature. */
  static boolean isPlain(SamplingOptions options) {
    return options.repetitionPenalty() == 1
        && options.topK() == 0
        && options.topP() == 1
        && options.minP() == 0;
  }

  /**
   * Returns the log-probabilities of all tokens, [rows, vocabulary]; removed tokens have -∞.
   *
   * @param logits the logits of the model, [rows, vocabulary]
   * @param texts prompt and completion so far of each row; unused without a repetition penalty
   * @param options how tokens are sampled, with a temperature above 0
   */
  static Tensor logProbabilities(Tensor logits, List<int[]> texts, SamplingOptions options) {
    Tensor scores = penalised(logits, texts, options).div(new Scalar(options.temperature()));
    if (options.topK() > 0 && options.topK() < scores.size(1)) {
      Tensor least = torch.topk(scores, options.topK()).get0().narrow(1, options.topK() - 1L, 1);
      // Tokens as likely as the last one are kept.
      scores = without(scores, scores.lt(least));
    }
    if (options.topP() < 1) {
      scores = nucleus(scores, options.topP());
    }
    if (options.minP() > 0) {
      Tensor probabilities = scores.softmax(-1);
      Tensor least = probabilities.amax(new long[] {-1}, true).mul(new Scalar(options.minP()));
      scores = without(scores, probabilities.lt(least));
    }
    return scores.log_softmax(-1);
  }

  private static Tensor without(Tensor scores, Tensor removed) {
    return scores.masked_fill(removed, new Scalar(Double.NEGATIVE_INFINITY));
  }

  private static Tensor nucleus(Tensor scores, double mass) {
    // The order of equally likely tokens must not depend on the other rows.
    var sorted = torch.sort(scores, new BoolOptional(true), -1, true);
    Tensor probabilities = sorted.get0().softmax(-1);
    // The most likely token is always kept, because no probability precedes it.
    Tensor removed = probabilities.cumsum(-1).sub(probabilities).ge(new Scalar(mass));
    return without(scores, removed.scatter(1, sorted.get1(), removed));
  }

  /**
   * Makes tokens of prompt and completion less likely (arXiv 1909.05858, section 4.1, with the sign
   * of the logit taken into account).
   */
  static Tensor penalised(Tensor logits, List<int[]> texts, SamplingOptions options) {
    if (options.repetitionPenalty() == 1) {
      return logits;
    }
    int width = texts.stream().mapToInt(text -> text.length).max().orElseThrow();
    long[] tokens = new long[texts.size() * width];
    for (int i = 0; i < texts.size(); i++) {
      int[] text = texts.get(i);
      // The first token fills the rest. It counts once, however often it is there.
      Arrays.fill(tokens, i * width, (i + 1) * width, text[0]);
      for (int j = 0; j < text.length; j++) {
        tokens[i * width + j] = text[j];
      }
    }
    Tensor places = Tensors.of(tokens, texts.size(), width);
    Scalar penalty = new Scalar(options.repetitionPenalty());
    Tensor own = logits.gather(1, places);
    Tensor less = torch.where(own.lt(new Scalar(0)), own.mul(penalty), own.div(penalty));
    return logits.scatter(1, places, less);
  }
}
