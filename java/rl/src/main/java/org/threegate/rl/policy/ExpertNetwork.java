package org.threegate.rl.policy;

import java.util.Arrays;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The experts of a layer. Each computes the rows of the tokens that chose it, and no others.
 *
 * @param kind the shape of the experts
 * @param linear the linear layers of the decoder
 * @param prefix what the names of the parameters of the experts begin with
 */
record ExpertNetwork(FeedForward.Experts kind, LinearLayers linear, String prefix) {
  /** Computes the networks of one expert. */
  @FunctionalInterface
  private interface Expert {
    Tensor apply(int number, Tensor rows);
  }

  /**
   * Computes the weighted sum of the chosen experts of each row.
   *
   * @param rows the states, [rows, hidden]
   * @param scores the logits of the router, [rows, experts]
   * @return the sums, [rows, hidden]
   */
  Tensor apply(Tensor rows, Tensor scores) {
    Choice choice = choice(scores);
    Expert expert = expert();
    long[] places = grouped(Tensors.longs(choice.experts()));
    Tensor sum = torch.zeros_like(rows.detach());
    Tensor flat = choice.weights().reshape(-1);
    int chosen = kind.chosen();
    for (int begin = 0; begin < places.length; ) {
      int number = number(places[begin]);
      int end = begin;
      while (end < places.length && number(places[end]) == number) {
        end++;
      }
      long[] own = Arrays.stream(places, begin, end).map(ExpertNetwork::place).toArray();
      Tensor at = Tensors.of(Arrays.stream(own).map(place -> place / chosen).toArray(), own.length);
      Tensor weights =
          flat.index_select(0, Tensors.of(own, own.length)).unsqueeze(1).to(rows.scalar_type());
      sum.index_add_(0, at, expert.apply(number, rows.index_select(0, at)).mul(weights));
      begin = end;
    }
    return sum;
  }

  /**
   * The chosen experts.
   *
   * @param weights their weights, [rows, chosen]
   * @param experts their numbers, [rows, chosen], int64
   */
  private record Choice(Tensor weights, Tensor experts) {}

  private Choice choice(Tensor scores) {
    boolean among = kind.routing() == FeedForward.Routing.CHOSEN;
    Tensor values = among ? scores : wide(scores).softmax(-1);
    var top = torch.topk(values, kind.chosen(), -1, true, true);
    Tensor weights =
        switch (kind.routing()) {
          case SHARES -> top.get0();
          case NORMALIZED_SHARES -> top.get0().div(top.get0().sum(new long[] {-1}, true, null));
          case CHOSEN -> top.get0().softmax(-1);
        };
    return new Choice(weights, top.get1());
  }

  /** Probabilities of all experts have float32 or more. */
  private static Tensor wide(Tensor scores) {
    return scores.element_size() < Float.BYTES ? scores.to(torch.ScalarType.Float) : scores;
  }

  // An expert and a place in one number, so that sorting brings the rows of an expert together.
  private static long[] grouped(long[] experts) {
    long[] places = new long[experts.length];
    for (int i = 0; i < experts.length; i++) {
      places[i] = experts[i] << Integer.SIZE | i;
    }
    Arrays.sort(places);
    return places;
  }

  private static int number(long grouped) {
    return (int) (grouped >> Integer.SIZE);
  }

  private static long place(long grouped) {
    return (int) grouped;
  }

  private Expert expert() {
    long width = kind.intermediate();
    FeedForward.Gating gating = kind.gating();
    return switch (kind.layout()) {
      case SEPARATE ->
          (number, rows) -> {
            String own = prefix + number + '.';
            Tensor gate = linear.apply(own + "gate_proj.weight", rows);
            Tensor up = linear.apply(own + "up_proj.weight", rows);
            return linear.apply(own + "down_proj.weight", gating.apply(gate, up));
          };
      case FUSED -> {
        List<Tensor> first = experts("gate_up_proj");
        List<Tensor> second = experts("down_proj");
        yield (number, rows) -> {
          Tensor both = torch.linear(rows, first.get(number));
          Tensor gated = gating.apply(both.narrow(1, 0, width), both.narrow(1, width, width));
          return torch.linear(gated, second.get(number));
        };
      }
      case TRANSPOSED -> {
        List<Tensor> first = experts("gate_up_proj");
        List<Tensor> firstBias = experts("gate_up_proj_bias");
        List<Tensor> second = experts("down_proj");
        List<Tensor> secondBias = experts("down_proj_bias");
        yield (number, rows) -> {
          Tensor turns =
              rows.matmul(first.get(number)).add(firstBias.get(number)).view(-1, width, 2);
          Tensor gated = gating.apply(turns.select(2, 0), turns.select(2, 1));
          return gated.matmul(second.get(number)).add(secondBias.get(number));
        };
      }
    };
  }

  /** Splits a tensor once for all experts, so that its gradient is put together once. */
  private List<Tensor> experts(String name) {
    TensorVector parts = linear.parameters().get(prefix + name).unbind(0);
    Tensor[] all = new Tensor[kind.count()];
    Arrays.setAll(all, i -> new Tensor(parts.get(i)));
    return List.of(all);
  }
}
