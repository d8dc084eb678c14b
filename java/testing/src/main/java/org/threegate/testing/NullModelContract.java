package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.threegate.testing.TestDevice.DEVICE;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.ChangeModel;
import org.threegate.kernel.Context;
import org.threegate.kernel.DtypeChange;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.Rescaling;
import org.threegate.kernel.Residual;
import org.threegate.kernel.SignFlip;

/** Tests rescalings, sign flips and the model of changed entries. */
interface NullModelContract {
  private static Matrix matrix(NativeBuffer buffer, Dtype dtype, long rows, long columns) {
    return Matrix.of(buffer, dtype, rows, columns);
  }

  @Test
  default void rescalingsComeBack() {
    Random random = Seeds.random("rescalingsComeBack");
    int rows = 30;
    int columns = 50;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer before = context.allocate(8L * rows * columns);
        NativeBuffer after = context.allocate(8L * rows * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        double entry = random.nextGaussian();
        double gain = i / columns == 3 ? 0.2 : 0;
        before.putDouble(8L * i, entry);
        after.putDouble(8L * i, entry * (0.9 + gain) + 1e-6 * random.nextGaussian());
      }
      Operand base = Operand.of(matrix(before, Dtype.F64, rows, columns));
      Operand tuned = Operand.of(matrix(after, Dtype.F64, rows, columns));
      Rescaling.Result result = Rescaling.fit(context, base, tuned);
      assertThat(result.convergence().converged()).isTrue();
      assertThat(result.entries()).isEqualTo(rows * columns);
      double[] factors = result.factors().rows();
      assertThat(factors[3] - factors[4]).isCloseTo(0.2, within(1e-5));
      assertThat(result.factors().common() + factors[4]).isCloseTo(-0.1, within(1e-5));
      assertThat(result.factors().columns()[7]).isCloseTo(0, within(1e-5));
      assertThat(result.squares().residual()).isCloseTo(1e-12 * rows * columns, within(5e-10));
      assertThat(result.terms().rows().squares())
          .isGreaterThan(100 * result.terms().rows().noise());
      assertThat(result.terms().columns().squares())
          .isCloseTo(
              result.terms().columns().noise(), within(5 * result.terms().columns().deviation()));
      assertThat(result.commonError()).isBetween(1e-9, 1e-7);
      Matrix rest =
          SignFlip.kept(context, Residual.after(base, tuned, result.factors()), Dtype.F32);
      try (NativeBuffer sum = rest.buffer()) {
        assertThat(sum.getFloat(4L * 3 * columns))
            .isCloseTo((float) before.getDouble(8L * 3 * columns), within(1e-5f));
      }
      assertThat(
              Rescaling.fit(context, base, tuned, new Rescaling.Options(1e-15, 1))
                  .convergence()
                  .converged())
          .isFalse();
      assertThatThrownBy(() -> Rescaling.fit(context, base, tuned, new Rescaling.Options(1e-15, 0)))
          .hasMessage("options.most_steps is 0; it must be at least 1");
      assertThatThrownBy(() -> Residual.of(base, Operand.of(matrix(after, Dtype.F64, 2, 50))))
          .hasMessage("2 x 50 tuned entries; the base has 30 x 50");
      assertThatThrownBy(
              () ->
                  Residual.after(
                      base, tuned, new Rescaling.Factors(0, new double[3], new double[50])))
          .hasMessage("3 factors of rows and 50 of columns; the matrix has 30 x 50");
    }
  }

  @Test
  default void aChangeOfDtypeIsFound() {
    int count = 300;
    try (Context context = Context.open(DEVICE, 1);
        NativeBuffer before = context.allocate(4L * count);
        NativeBuffer after = context.allocate(4L * count)) {
      for (int i = 0; i < count; i++) {
        float value = (float) Math.sin(i);
        before.putFloat(4L * i, value);
        after.putFloat(
            4L * i, Float.intBitsToFloat(Float.floatToIntBits(value) + 0x7fff & ~0xffff));
      }
      Operand base = Operand.of(matrix(before, Dtype.F32, 10, 30));
      Operand tuned = Operand.of(matrix(after, Dtype.F32, 10, 30));
      assertThat(DtypeChange.of(context, base, tuned, Dtype.BF16).explainsAll()).isTrue();
      assertThat(DtypeChange.of(context, base, tuned, Dtype.F16).explainsAll()).isFalse();
      after.putFloat(40, 1.5f);
      DtypeChange.Result result = DtypeChange.of(context, base, tuned, Dtype.BF16);
      assertThat(result).isEqualTo(new DtypeChange.Result(300, 1, 1, result.baseDiffers()));
      assertThat(result.explainsAll()).isFalse();
    }
  }

  @Test
  default void signFlipsHaveTheirMoments() {
    Random random = Seeds.random("signFlipsHaveTheirMoments");
    int rows = 12;
    int columns = 20;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer before = context.allocate(4L * rows * columns);
        NativeBuffer after = context.allocate(4L * rows * columns);
        NativeBuffer left = context.allocate(8L * 2 * rows);
        NativeBuffer right = context.allocate(8L * 2 * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        before.putFloat(4L * i, 1);
        after.putFloat(4L * i, 1 + (float) Math.exp(random.nextGaussian()));
      }
      left.putDoubles(0, new double[2 * rows]).putDouble(8L * 2, 1).putDouble(8L * (rows + 5), 1);
      right.putDoubles(0, new double[2 * columns]).putDouble(8L * 4, 1);
      right.putDouble(8L * (columns + 9), 0.6).putDouble(8L * (columns + 10), 0.8);
      Residual update =
          Residual.of(
              Operand.of(matrix(before, Dtype.F32, rows, columns)),
              Operand.of(matrix(after, Dtype.F32, rows, columns)));
      ProjectedEnergy.Bases bases =
          new ProjectedEnergy.Bases(
              matrix(left, Dtype.F64, 2, rows), matrix(right, Dtype.F64, 2, columns));
      List<SignFlip.Moments> moments =
          SignFlip.energy(context, update, bases, new SignFlip.Options(List.of(1, 2), 0, 0));
      // In one coordinate on each side there is one entry, whose sign does not matter.
      double alone = after.getFloat(4L * (2 * columns + 4)) - 1.0;
      assertThat(moments.get(0).energy()).isCloseTo(alone * alone, within(1e-6 * alone * alone));
      assertThat(moments.get(0).ratio()).isCloseTo(1, within(1e-9));
      assertThat(moments.get(0).variance()).isLessThan(1e-5 * Math.pow(alone, 4));
      double mean = 0;
      double squares = 0;
      int draws = 400;
      for (int draw = 0; draw < draws; draw++) {
        Matrix flipped = SignFlip.draw(context, update, new NullUpdate.Draw(11, draw), Dtype.F32);
        try (NativeBuffer entries = flipped.buffer()) {
          double energy = 0;
          for (int row : new int[] {2, 5}) {
            double first = entries.getFloat(4L * (row * columns + 4)) - 1.0;
            double second =
                0.6 * (entries.getFloat(4L * (row * columns + 9)) - 1.0)
                    + 0.8 * (entries.getFloat(4L * (row * columns + 10)) - 1.0);
            energy += first * first + second * second;
          }
          mean += energy / draws;
          squares += energy * energy / draws;
        }
      }
      SignFlip.Moments both = moments.get(1);
      double sd = Math.sqrt(both.variance());
      assertThat(mean).isCloseTo(both.mean(), within(5 * sd / Math.sqrt(draws)));
      assertThat(Math.sqrt(squares - mean * mean)).isCloseTo(sd, within(0.25 * sd));
      assertThat(both.varianceError()).isZero();
      SignFlip.Moments estimate =
          SignFlip.energy(context, update, bases, new SignFlip.Options(List.of(2), 0.9, 4)).get(0);
      assertThat(estimate.mean()).isEqualTo(both.mean());
      assertThat(estimate.variance())
          .isCloseTo(
              both.variance(), within(6 * estimate.varianceError() + 1e-9 * both.variance()));
      assertThat(both.z()).isCloseTo((both.energy() - both.mean()) / sd, within(1e-12));
      assertThatThrownBy(() -> SignFlip.energy(context, update, bases, SignFlip.Options.of(3)))
          .hasMessage("options.ranks is 3; each must be 1 to the rows of both bases");
      assertThatThrownBy(
              () -> SignFlip.draw(context, update, new NullUpdate.Draw(11, 0), Dtype.F64))
          .hasMessage("options.dtype is 1; allowed are TG_F32 (2) and TG_BF16 (4)");
    }
  }

  @Test
  default void changesAreExplainedByRowsColumnsAndMagnitudes() {
    Random random = Seeds.random("changesAreExplainedByRowsColumnsAndMagnitudes");
    int rows = 40;
    int columns = 70;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(4L * rows * columns)) {
      long[] changed = new long[rows * 2];
      long[] chosen = new long[rows * 2];
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
          float weight = random.nextBoolean() ? 0.01f : 1;
          buffer.putFloat(4L * (i * columns + j), weight);
          boolean isChosen = random.nextInt(rows) < i;
          double logit = (weight < 0.1 ? 0.5 : -1.5) + (i - j / 2.0) / 20 + (isChosen ? 1 : 0);
          boolean isChanged = random.nextDouble() < 1 / (1 + Math.exp(-logit));
          chosen[i * 2 + j / 64] |= (isChosen ? 1L : 0) << j;
          changed[i * 2 + j / 64] |= (isChanged ? 1L : 0) << j;
        }
      }
      int[] bins = new int[MagnitudeHistogram.CODES];
      for (int code = 0; code < bins.length; code++) {
        bins[code] = Float.intBitsToFloat(code << 16) < 0.1 ? 0 : 1;
      }
      Operand weights = Operand.of(matrix(buffer, Dtype.F32, rows, columns));
      ChangeModel model = new ChangeModel(weights, new Mask(rows, columns, changed), bins);
      ChangeModel.Fit fit = model.fit(context);
      assertThat(fit.convergence().converged()).isTrue();
      assertThat(fit.freeEntries()).isEqualTo(rows * columns);
      assertThat(fit.bins()[0] - fit.bins()[1]).isCloseTo(2, within(0.6));
      Mask set = new Mask(rows, columns, chosen);
      Mask all = new Mask(rows, columns, changed);
      List<ChangeModel.Score> scores = model.score(context, fit, List.of(set, all));
      ChangeModel.Score score = scores.get(0);
      assertThat(score.convergence().converged()).isTrue();
      assertThat(score.logOdds()).isCloseTo(1, within(0.7));
      assertThat(score.z()).isCloseTo(score.logOdds() / score.logOddsError(), within(1e-9));
      assertThat(score.z()).isGreaterThan(3);
      assertThat(score.counts().entries()).isEqualTo(set.count());
      assertThat(score.counts().observed() - score.counts().expected()).isPositive();
      assertThat(score.explained()).isBetween(0.2, 0.95);
      assertThat(scores.get(1).counts().observed()).isEqualTo(all.count());
      int firstOfLarge = Float.floatToIntBits(0.1F) >>> 16;
      int[] ends = {firstOfLarge + 1, MagnitudeHistogram.CODES};
      ChangeModel ranges = ChangeModel.ofRanges(weights, all, ends);
      ChangeModel.Fit ofRanges = ranges.fit(context);
      assertThat(ofRanges.rows()).isEqualTo(fit.rows());
      assertThat(ofRanges.bins()).isEqualTo(fit.bins());
      assertThat(ranges.score(context, ofRanges, List.of(set, all))).isEqualTo(scores);
      assertThatThrownBy(() -> ChangeModel.ofRanges(weights, all, new int[0]))
          .hasMessage("0 bins for 32768 codes");
      assertThatThrownBy(() -> ChangeModel.ofRanges(weights, all, new int[] {5}).fit(context))
          .hasMessageContaining("the last must be TG_MAGNITUDE_CODES");
      ChangeModel.Fit early = model.fit(context, new ChangeModel.Options(1e-12, 1));
      assertThat(early.convergence().converged()).isFalse();
      assertThatThrownBy(() -> model.score(context, early, List.of(set)))
          .hasMessage("the fit of the model did not converge");
      assertThatThrownBy(() -> model.score(context, fit, List.of()))
          .hasMessageContaining("at least one set");
      assertThatThrownBy(() -> new ChangeModel(weights, all, new int[3]))
          .hasMessage("3 bins for 32768 codes");
      assertThatThrownBy(() -> new ChangeModel(weights, new Mask(1, 1, new long[1]), bins))
          .hasMessage("a mask of 1 x 1 entries; the matrix has 40 x 70");
    }
  }
}
