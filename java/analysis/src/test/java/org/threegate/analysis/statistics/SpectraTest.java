package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class SpectraTest {
  private static final double[] BASE = {4, 2, 1};
  private static final double[] TUNED = {4, 3, 1};

  @Test
  void handComputedValues() {
    assertThat(Spectra.distance(BASE, TUNED)).isEqualTo(1);
    assertThat(Spectra.nss(BASE, TUNED)).isCloseTo(1 / Math.sqrt(21), within(1e-15));
    assertThat(Spectra.kyFan(TUNED, 2)).isEqualTo(7);
    assertThat(Spectra.gap(BASE, BASE, 1)).isEqualTo(2);
    assertThat(Spectra.gap(BASE, TUNED, 1)).isEqualTo(1);
    assertThat(Spectra.gap(BASE, BASE, 3)).isEqualTo(1);
    assertThat(Spectra.stableRank(BASE)).isCloseTo(21.0 / 16, within(1e-15));
  }

  @Test
  void effectiveRankCountsEqualValues() {
    assertThat(Spectra.effectiveRank(new double[] {5, 5, 5, 5})).isCloseTo(4, within(1e-12));
    assertThat(Spectra.effectiveRank(new double[] {5, 0, 0})).isCloseTo(1, within(1e-12));
    assertThat(Spectra.stableRank(new double[] {5, 5, 5, 5})).isCloseTo(4, within(1e-12));
  }

  @Test
  void nothingIsSaidOfNothing() {
    assertThat(Spectra.nss(new double[2], new double[2])).isNaN();
    assertThat(Spectra.stableRank(new double[2])).isNaN();
    assertThat(Spectra.effectiveRank(new double[2])).isNaN();
    assertThatThrownBy(() -> Spectra.distance(BASE, new double[2]))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
