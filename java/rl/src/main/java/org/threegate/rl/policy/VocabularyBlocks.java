package org.threegate.rl.policy;

import java.util.Optional;
import java.util.function.Function;
import java.util.function.Supplier;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Computes log-probabilities and entropies of tokens from hidden states, and gradients of a
 * function of them. The logits exist for one block of the vocabulary at a time. Without blocks,
 * those of a batch of 8 × 1024 tokens and 151,936 entries take 5 GB in float32, and a graph keeps
 * several such tensors.
 *
 * <p>The gradient with respect to the logits z of a token with the probabilities p is known: g (1 -
 * p) for its own entry and - g p for others, where g is the gradient of its log-probability, and -
 * h p (log p + H), where h is that of its entropy H. It needs only the logarithm of the sum of exp
 * z and H of the first pass. The second pass computes the logits again. The blocks depend on the
 * shapes only, so results do not depend on the number of threads.
 */
final class VocabularyBlocks {
  /** Entries of the vocabulary in a block. For 512 tokens, its logits take 16 MiB in float32. */
  static final long COLUMNS = 1L << 13;

  private final Tensor weight;
  private final Optional<LowRankFactors> factors;
  private final double temperature;
  private final ScalarType exact;
  private final long columns;

  /**
   * Prepares the head of a model.
   *
   * @param weight the output matrix, [vocabulary, hidden]
   * @param factors the low-rank product that is added to it, if there is one
   * @param temperature the divisor of the logits
   * @param exact the dtype in which probabilities are computed
   * @param columns the entries of the vocabulary in a block
   */
  VocabularyBlocks(
      Tensor weight,
      Optional<LowRankFactors> factors,
      double temperature,
      ScalarType exact,
      long columns) {
    this.weight = weight.detach();
    this.factors = factors;
    this.temperature = temperature;
    this.exact = exact;
    this.columns = columns;
  }

  /**
   * What the backward pass needs of the forward pass, each [tokens].
   *
   * @param normalizers the logarithms of the sums of exp z
   */
  private record Pass(Tensor normalizers, TokenMeasures measures) {}

  /** A block of logits, divided by the temperature. */
  private record Block(long begin, Tensor logits) {}

  /** The gradients of a function of the measures. */
  record Gradients(Tensor rows, Optional<Tensor> a, Optional<Tensor> b) {}

  /** Receives the gradient of the output matrix, some rows at a time. */
  @FunctionalInterface
  interface RowSink {
    void accept(long first, Tensor gradient);
  }

  /**
   * Computes the measures without a graph.
   *
   * @param rows the hidden states, [tokens, hidden]
   * @param targets the tokens, [tokens], int64
   * @param entropies whether entropies are computed
   */
  TokenMeasures measures(Tensor rows, Tensor targets, boolean entropies) {
    Tensor own = rows.detach();
    return pass(own, targets, entropies).measures();
  }

  /**
   * Computes the gradients of a function of the measures.
   *
   * @param rows the hidden states, [tokens, hidden]
   * @param targets the tokens, [tokens], int64
   * @param entropies what is wanted of the entropies
   * @param arranged brings a value of each token, [tokens], into the shape that the loss takes
   * @param loss maps the measures to a scalar
   * @param ofWeight receives the gradient of the output matrix, if that moves
   */
  Gradients differentiate(
      Tensor rows,
      Tensor targets,
      TokenMeasures.Entropies entropies,
      Function<Tensor, Tensor> arranged,
      Function<TokenMeasures, Tensor> loss,
      Optional<RowSink> ofWeight) {
    Tensor own = rows.detach();
    boolean differentiated = entropies == TokenMeasures.Entropies.DIFFERENTIATED;
    Pass pass =
        withoutGradient(() -> pass(own, targets, entropies != TokenMeasures.Entropies.NONE));
    Tensor chosen = pass.measures().logProbabilities().requires_grad_(true);
    Optional<Tensor> spread =
        pass.measures().entropies().map(found -> found.requires_grad_(differentiated));
    Tensor value = loss.apply(new TokenMeasures(arranged.apply(chosen), spread.map(arranged)));
    TensorVector inputs =
        differentiated ? new TensorVector(chosen, spread.orElseThrow()) : new TensorVector(chosen);
    TensorVector found =
        torch.grad(
            new TensorVector(value),
            inputs,
            new TensorVector(),
            new BoolOptional(false),
            false,
            true);
    Tensor ofChosen = found.get(0).defined() ? found.get(0) : torch.zeros_like(chosen.detach());
    Optional<Tensor> ofEntropies =
        differentiated && found.get(1).defined() ? Optional.of(found.get(1)) : Optional.empty();
    return withoutGradient(() -> back(own, targets, pass, ofChosen, ofEntropies, ofWeight));
  }

  @SuppressWarnings("try")
  private static <T> T withoutGradient(Supplier<T> computation) {
    try (NoGradGuard guard = new NoGradGuard()) {
      return computation.get();
    }
  }

  private Block block(Tensor rows, Optional<Tensor> low, long begin) {
    long count = Math.min(columns, weight.size(0) - begin);
    Tensor plain = torch.linear(rows, weight.narrow(0, begin, count));
    Tensor sum =
        low.map(
                own ->
                    plain.add(
                        torch
                            .linear(own, factors.orElseThrow().b().detach().narrow(0, begin, count))
                            .mul(new Scalar(factors.orElseThrow().scale()))
                            .to(plain.scalar_type())))
            .orElse(plain);
    Tensor logits = sum.to(exact);
    return new Block(begin, temperature == 1 ? logits : logits.div(new Scalar(temperature)));
  }

  /** Returns the product of the rows with the first factor, [tokens, rank]. */
  private Optional<Tensor> low(Tensor rows) {
    return factors.map(own -> torch.linear(rows.to(own.a().scalar_type()), own.a().detach()));
  }

  private Pass pass(Tensor rows, Tensor targets, boolean entropies) {
    Optional<Tensor> low = low(rows);
    Tensor[] state = new Tensor[4]; // greatest logit, sum of exp, sum of exp times logit, chosen
    Tensor zeros =
        ModelDevice.placed(torch.zeros(new long[] {rows.size(0)}, new TensorOptions(exact)));
    state[0] = zeros.add(new Scalar(Double.NEGATIVE_INFINITY));
    state[1] = zeros;
    state[2] = zeros.clone();
    state[3] = zeros.clone();
    for (long begin = 0; begin < weight.size(0); begin += columns) {
      long at = begin;
      TensorVector next =
          Scopes.keep(
              () -> {
                Tensor logits = block(rows, low, at).logits();
                Tensor greatest = torch.maximum(state[0], logits.amax(new long[] {1}, false));
                Tensor chosen = chosen(logits, targets, at, state[3]);
                Tensor apart = logits.sub_(greatest.unsqueeze(1));
                Tensor shrunk = state[0].sub(greatest);
                Tensor kept = shrunk.exp();
                Tensor exps = entropies ? apart.exp() : apart.exp_();
                Tensor sums = state[1].mul(kept).add(exps.sum(new long[] {1}, false, null));
                Tensor products = state[2];
                if (entropies) {
                  // The first block has no sums before it, and its shrinking factor is 0 * -inf.
                  Tensor before = at == 0 ? state[2] : state[2].add(shrunk.mul(state[1])).mul(kept);
                  products = before.add(exps.mul_(apart).sum(new long[] {1}, false, null));
                }
                return new TensorVector(greatest, sums, products, chosen);
              });
      for (int i = 0; i < state.length; i++) {
        state[i] = new Tensor(next.get(i));
      }
      next.close();
    }
    Tensor logs = state[1].log();
    Tensor normalizers = state[0].add(logs);
    return new Pass(
        normalizers,
        new TokenMeasures(
            state[3].sub(normalizers),
            entropies ? Optional.of(logs.sub(state[2].div(state[1]))) : Optional.empty()));
  }

  /** Returns the logits of the tokens that the block has, and the given ones of the others. */
  private static Tensor chosen(Tensor logits, Tensor targets, long begin, Tensor others) {
    Tensor places = targets.sub(new Scalar(begin));
    Tensor found = logits.gather(1, within(places, logits).unsqueeze(1)).squeeze(1);
    return torch.where(isWithin(places, logits), found, others);
  }

  private static Tensor within(Tensor places, Tensor logits) {
    return places.clamp_min(new Scalar(0L)).clamp_max(new Scalar(logits.size(1) - 1));
  }

  private static Tensor isWithin(Tensor places, Tensor logits) {
    return places.ge(new Scalar(0L)).bitwise_and(places.lt(new Scalar(logits.size(1))));
  }

  private Gradients back(
      Tensor rows,
      Tensor targets,
      Pass pass,
      Tensor ofChosen,
      Optional<Tensor> ofEntropies,
      Optional<RowSink> ofWeight) {
    Optional<Tensor> low = low(rows);
    Tensor own = ofChosen.div(new Scalar(temperature));
    Optional<Tensor> spread = ofEntropies.map(found -> found.div(new Scalar(temperature)));
    Tensor ofRows = torch.zeros_like(rows).to(exact);
    Optional<Tensor> ofB = factors.map(found -> torch.empty_like(found.b().detach()));
    Optional<Tensor> ofLow = low.map(torch::zeros_like);
    for (long begin = 0; begin < weight.size(0); begin += columns) {
      long at = begin;
      Scopes.run(
          () -> {
            Tensor logits = block(rows, low, at).logits();
            Tensor slopes = slopes(logits, targets, at, pass, own, spread).to(rows.scalar_type());
            long count = slopes.size(1);
            ofRows.add_(slopes.matmul(weight.narrow(0, at, count)));
            ofWeight.ifPresent(sink -> sink.accept(at, slopes.transpose(0, 1).matmul(rows)));
            factors.ifPresent(
                found -> {
                  Tensor scaled = slopes.to(found.b().scalar_type()).mul(new Scalar(found.scale()));
                  ofB.orElseThrow()
                      .narrow(0, at, count)
                      .copy_(scaled.transpose(0, 1).matmul(low.orElseThrow()));
                  ofLow.orElseThrow().add_(scaled.matmul(found.b().detach().narrow(0, at, count)));
                });
          });
    }
    Optional<Tensor> ofA =
        factors.map(
            found -> {
              Tensor slopes = ofLow.orElseThrow();
              ofRows.add_(slopes.matmul(found.a().detach()));
              return slopes.transpose(0, 1).matmul(rows.to(found.a().scalar_type()));
            });
    return new Gradients(ofRows.to(rows.scalar_type()), ofA, ofB);
  }

  /** Replaces logits by the gradients with respect to them. */
  private static Tensor slopes(
      Tensor logits,
      Tensor targets,
      long begin,
      Pass pass,
      Tensor ofChosen,
      Optional<Tensor> ofEntropies) {
    Tensor logarithms = logits.sub_(pass.normalizers().unsqueeze(1));
    Tensor slopes;
    if (ofEntropies.isPresent()) {
      Tensor factors =
          logarithms
              .add(pass.measures().entropies().orElseThrow().detach().unsqueeze(1))
              .mul_(ofEntropies.orElseThrow().unsqueeze(1))
              .add_(ofChosen.unsqueeze(1));
      slopes = logarithms.exp_().mul_(factors).neg_();
    } else {
      slopes = logarithms.exp_().mul_(ofChosen.neg().unsqueeze(1));
    }
    Tensor places = targets.sub(new Scalar(begin));
    Tensor owned = torch.where(isWithin(places, slopes), ofChosen, ofChosen.mul(new Scalar(0.0)));
    return slopes.scatter_add_(1, within(places, slopes).unsqueeze(1), owned.unsqueeze(1));
  }
}
