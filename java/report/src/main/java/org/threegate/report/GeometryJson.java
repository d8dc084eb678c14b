package org.threegate.report;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.geometry.Banding;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.Overlap;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Spectra;

/** Geometries and findings as JSON, for {@code report.json} and for the page alike. */
final class GeometryJson {
  private final JsonGenerator json;

  GeometryJson(JsonGenerator json) {
    this.json = json;
  }

  /** A number, or null where it is not finite. */
  static void number(JsonGenerator json, String name, double value) throws IOException {
    if (Double.isFinite(value)) {
      json.writeNumberField(name, value);
    } else {
      json.writeNullField(name);
    }
  }

  private void number(String name, double value) throws IOException {
    number(json, name, value);
  }

  /** Fields spectrum, masks and what goes with them. */
  void fields(Optional<TensorGeometry> measured) throws IOException {
    List<SpectrumMeasure> spectra = measured.map(TensorGeometry::spectra).orElse(List.of());
    List<MaskMeasure> masks = measured.map(TensorGeometry::masks).orElse(List.of());
    if (spectra.isEmpty()) {
      json.writeNullField("spectrum");
    } else {
      json.writeFieldName("spectrum");
      spectrum(spectra.get(0));
    }
    if (masks.isEmpty()) {
      json.writeNullField("masks");
    } else {
      json.writeFieldName("masks");
      masks(masks.get(0));
    }
    if (spectra.size() > 1) {
      json.writeArrayFieldStart("spectrumByRank");
      for (SpectrumMeasure spectrum : spectra) {
        spectrum(spectrum);
      }
      json.writeEndArray();
    }
    if (masks.size() > 1) {
      json.writeArrayFieldStart("masksByAlphaAndRank");
      for (MaskMeasure mask : masks) {
        masks(mask);
      }
      json.writeEndArray();
    }
    Optional<Banding> banding = measured.flatMap(TensorGeometry::banding);
    if (banding.isPresent()) {
      json.writeObjectFieldStart("magnitudeMatchedDispersion");
      number("rowZ", banding.get().rowZ());
      number("columnZ", banding.get().columnZ());
      json.writeEndObject();
    }
    Optional<String> omitted = measured.flatMap(TensorGeometry::omitted);
    if (omitted.isPresent()) {
      json.writeStringField("spectrumOmitted", omitted.get());
    }
    Optional<NullEstimate> unchanged = measured.flatMap(TensorGeometry::unchangedNull);
    if (unchanged.isPresent()) {
      json.writeObjectFieldStart("sparsityNull");
      json.writeStringField("model", unchanged.get().model());
      number("mean", unchanged.get().mean());
      number("sd", unchanged.get().sd());
      json.writeEndObject();
    }
  }

  private void spectrum(SpectrumMeasure measure) throws IOException {
    Geometry geometry = measure.geometry();
    Optional<NullDraws> matched = measure.draws(NullModel.NORM_MATCHED);
    json.writeStartObject();
    json.writeNumberField("rank", geometry.rank());
    json.writeStringField("method", "dense");
    json.writeBooleanField("converged", geometry.converged());
    number("nss", geometry.drift());
    estimate("nssNull", matched.map(d -> d.estimate(d.drift())), geometry.drift());
    number("rSpec", geometry.spectralResidual());
    estimate(
        "rSpecNull",
        matched.map(d -> d.estimate(d.spectralResidual())),
        geometry.spectralResidual());
    angles("angleU", geometry.anglesLeft());
    angles("angleV", geometry.anglesRight());
    estimate(
        "angleNull",
        matched.map(d -> d.estimate(d.largestAngleLeft())),
        Geometry.max(geometry.anglesLeft()));
    number("gap", geometry.gap());
    number("wedinGap", geometry.wedinGap());
    number("deltaSpectralNorm", geometry.updateNorm());
    json.writeBooleanField("gapLimited", geometry.isGapLimited());
    number("kyFanBase", geometry.kyFanBase());
    number("kyFanTuned", geometry.kyFanTuned());
    number("residualBase", geometry.residualBase());
    number("residualTuned", geometry.residualTuned());
    number("principalEnergy", geometry.principalEnergy());
    estimate(
        "principalEnergyNull",
        matched
            .map(d -> d.estimate(d.principalEnergy()))
            .or(() -> Optional.of(measure.isotropicEnergy())),
        geometry.principalEnergy());
    number("leftEnergy", geometry.energy().leftShare());
    number("rightEnergy", geometry.energy().rightShare());
    number("stableRank", Spectra.stableRank(geometry.update()));
    number("effectiveRank", Spectra.effectiveRank(geometry.update()));
    nulls(measure);
    doubles("sigmaBase", Arrays.copyOf(geometry.base(), geometry.rank()));
    doubles("sigmaTuned", Arrays.copyOf(geometry.tuned(), geometry.rank()));
    json.writeEndObject();
  }

  private void nulls(SpectrumMeasure measure) throws IOException {
    Geometry geometry = measure.geometry();
    json.writeObjectFieldStart("nulls");
    for (NullDraws draws : measure.nulls()) {
      json.writeObjectFieldStart(draws.model());
      json.writeNumberField("draws", draws.drift().length);
      drawn("nss", draws, draws.drift(), geometry.drift());
      drawn("rSpec", draws, draws.spectralResidual(), geometry.spectralResidual());
      drawn("angleU", draws, draws.largestAngleLeft(), Geometry.max(geometry.anglesLeft()));
      drawn("angleV", draws, draws.largestAngleRight(), Geometry.max(geometry.anglesRight()));
      drawn("principalEnergy", draws, draws.principalEnergy(), geometry.principalEnergy());
      drawn("leftEnergy", draws, draws.leftEnergy(), geometry.energy().leftShare());
      drawn("rightEnergy", draws, draws.rightEnergy(), geometry.energy().rightShare());
      json.writeEndObject();
    }
    json.writeObjectFieldStart("isotropic");
    json.writeNumberField("draws", 0);
    estimate("principalEnergy", Optional.of(measure.isotropicEnergy()), geometry.principalEnergy());
    json.writeEndObject();
    json.writeEndObject();
  }

  private void drawn(String name, NullDraws draws, double[] values, double observed)
      throws IOException {
    estimate(name, Optional.of(draws.estimate(values)), observed);
  }

  private void estimate(String name, Optional<NullEstimate> estimate, double observed)
      throws IOException {
    if (estimate.isEmpty()) {
      json.writeNullField(name);
      return;
    }
    json.writeObjectFieldStart(name);
    number("mean", estimate.get().mean());
    number("sd", estimate.get().sd());
    number("z", estimate.get().z(observed));
    number("p", estimate.get().pValue(observed));
    json.writeEndObject();
  }

  private void angles(String name, double[] angles) throws IOException {
    json.writeObjectFieldStart(name);
    number("maxRadians", Geometry.max(angles));
    number("meanRadians", Geometry.mean(angles));
    json.writeEndObject();
  }

  void doubles(String name, double[] values) throws IOException {
    json.writeArrayFieldStart(name);
    for (double value : values) {
      if (Double.isFinite(value)) {
        json.writeNumber(value);
      } else {
        json.writeNull();
      }
    }
    json.writeEndArray();
  }

  private void masks(MaskMeasure masks) throws IOException {
    json.writeStartObject();
    number("alpha", masks.alpha());
    json.writeNumberField("rank", masks.rank());
    overlap("principal", masks.principal());
    overlap("principalComplement", masks.principalComplement());
    overlap("low", masks.low());
    overlap("principalNotLow", masks.principalNotLow());
    overlap("safe", masks.safe());
    json.writeEndObject();
  }

  private void overlap(String name, Overlap overlap) throws IOException {
    json.writeObjectFieldStart(name);
    json.writeNumberField("size", overlap.size());
    number("density", overlap.density());
    number("overlap", overlap.overlap());
    number("densityBaseline", overlap.density());
    number("magnitudeBaseline", overlap.magnitudeBaseline());
    number("magnitudeSd", overlap.magnitudeSd());
    number("magnitudeZ", overlap.magnitudeZ());
    json.writeEndObject();
  }

  /** The field findings. */
  void findings(List<Finding> findings) throws IOException {
    json.writeArrayFieldStart("findings");
    for (Finding finding : findings) {
      Finding.Evidence evidence = finding.evidence();
      json.writeStartObject();
      json.writeStringField("id", finding.id());
      json.writeStringField("verdict", finding.verdict().label());
      json.writeStringField("text", finding.text());
      json.writeObjectFieldStart("evidence");
      json.writeNumberField("matrices", evidence.matrices());
      json.writeNumberField("supporting", evidence.supporting());
      json.writeNumberField("contrary", evidence.contrary());
      json.writeNumberField("naivelySupporting", evidence.naivelySupporting());
      number("observed", evidence.observed());
      number("nullMean", evidence.nullMean());
      number("naiveMean", evidence.naiveMean().orElse(Double.NaN));
      number("medianZ", evidence.medianZ());
      number("explainedShare", evidence.explainedShare().orElse(Double.NaN));
      json.writeObjectFieldStart("strictestNull");
      for (Map.Entry<String, Integer> entry : evidence.strictest().entrySet()) {
        json.writeNumberField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      json.writeObjectFieldStart("byKind");
      for (Map.Entry<String, Finding.Votes> entry : evidence.byKind().entrySet()) {
        json.writeObjectFieldStart(entry.getKey());
        json.writeNumberField("matrices", entry.getValue().matrices());
        json.writeNumberField("supporting", entry.getValue().supporting());
        json.writeNumberField("contrary", entry.getValue().contrary());
        json.writeEndObject();
      }
      json.writeEndObject();
      json.writeStringField("excluded", evidence.excluded());
      json.writeEndObject();
      json.writeEndObject();
    }
    json.writeEndArray();
  }
}
