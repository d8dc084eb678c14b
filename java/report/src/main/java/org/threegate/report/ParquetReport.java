package org.threegate.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.api.WriteSupport;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.io.api.RecordConsumer;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.apache.parquet.schema.Types;
import org.threegate.analysis.measure.TensorDiff;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/**
 * {@code tensors.parquet}: a row a tensor, the scalars of {@code report.json} flattened; what is
 * null there is null here.
 */
final class ParquetReport {
  private static final List<Column> COLUMNS = columns();

  private ParquetReport() {}

  /** A column: its type and how to write a tensor's value, if it has one. */
  private record Column(
      String name, PrimitiveTypeName type, Function<TensorDiff, Optional<Object>> value) {
    static Column text(String name, Function<TensorDiff, String> value) {
      return new Column(name, PrimitiveTypeName.BINARY, tensor -> Optional.of(value.apply(tensor)));
    }

    static Column count(String name, ToLongFunction<Totals> value) {
      return new Column(
          name, PrimitiveTypeName.INT64, tensor -> Optional.of(value.applyAsLong(tensor.totals())));
    }

    static Column real(String name, ToDoubleFunction<Totals> value) {
      return new Column(
          name, PrimitiveTypeName.DOUBLE, tensor -> finite(value.applyAsDouble(tensor.totals())));
    }

    static Column ratio(
        String name,
        Function<TensorDiff, Optional<RatioProfile>> profile,
        ToDoubleFunction<RatioProfile> value) {
      return new Column(
          name,
          PrimitiveTypeName.DOUBLE,
          tensor -> profile.apply(tensor).flatMap(p -> finite(value.applyAsDouble(p))));
    }

    private static Optional<Object> finite(double value) {
      return Double.isFinite(value) ? Optional.of(value) : Optional.empty();
    }

    Type schema() {
      return type == PrimitiveTypeName.BINARY
          ? Types.optional(type).as(LogicalTypeAnnotation.stringType()).named(name)
          : Types.optional(type).named(name);
    }
  }

  private static List<Column> columns() {
    List<Column> columns = new ArrayList<>();
    columns.add(Column.text("name", TensorDiff::name));
    columns.add(
        new Column(
            "layer",
            PrimitiveTypeName.INT64,
            tensor ->
                tensor.layer().isPresent()
                    ? Optional.of((long) tensor.layer().getAsInt())
                    : Optional.empty()));
    columns.add(Column.text("kind", TensorDiff::kind));
    columns.add(Column.text("dtypeBase", TensorDiff::dtypeBase));
    columns.add(Column.text("dtypeTuned", TensorDiff::dtypeTuned));
    columns.add(Column.text("shape", tensor -> tensor.shape().toString()));
    columns.add(Column.count("total", Totals::total));
    columns.add(Column.count("changed", Totals::changed));
    columns.add(Column.count("changedBits", Totals::changedBits));
    columns.add(Column.count("changedStored", Totals::changedStored));
    columns.add(Column.count("hidden", Totals::hidden));
    columns.add(Column.count("nonFinite", Totals::nonFinite));
    columns.add(Column.count("signFlips", Totals::signFlips));
    columns.add(Column.real("sparsity", Totals::sparsity));
    columns.add(Column.real("frobenius", Totals::frobenius));
    columns.add(Column.real("relativeFrobenius", Totals::relativeFrobenius));
    columns.add(Column.real("maxAbs", Totals::maxAbs));
    columns.add(Column.real("cosine", Totals::cosine));
    columns.add(Column.real("cosineNullSd", Totals::cosineNullSd));
    profile(columns, "rowRatio", TensorDiff::rowProfile);
    profile(columns, "columnRatio", TensorDiff::columnProfile);
    return List.copyOf(columns);
  }

  private static void profile(
      List<Column> columns, String name, Function<TensorDiff, Optional<RatioProfile>> profile) {
    columns.add(Column.ratio(name + "Mean", profile, RatioProfile::mean));
    columns.add(Column.ratio(name + "Sd", profile, RatioProfile::sd));
    columns.add(Column.ratio(name + "Max", profile, RatioProfile::max));
    columns.add(Column.ratio(name + "NullSd", profile, RatioProfile::nullSd));
    columns.add(Column.ratio(name + "DispersionZ", profile, RatioProfile::dispersionZ));
  }

  static void write(ComparisonReport report, Path path) throws IOException {
    try (ParquetWriter<TensorDiff> writer = new Builder(path).build()) {
      for (TensorDiff tensor : report.tensors()) {
        writer.write(tensor);
      }
    }
  }

  // The signatures with a Configuration are deprecated and abstract: they have to be implemented.
  @SuppressWarnings("deprecation")
  private static final class Builder extends ParquetWriter.Builder<TensorDiff, Builder> {
    Builder(Path path) {
      super(new LocalOutputFile(path));
      withCompressionCodec(CompressionCodecName.UNCOMPRESSED);
      withWriterVersion(ParquetProperties.WriterVersion.PARQUET_1_0);
    }

    @Override
    protected Builder self() {
      return this;
    }

    @Override
    protected WriteSupport<TensorDiff> getWriteSupport(Configuration configuration) {
      return new Support();
    }
  }

  @SuppressWarnings("deprecation")
  private static final class Support extends WriteSupport<TensorDiff> {
    private Optional<RecordConsumer> consumer = Optional.empty();

    @Override
    public WriteContext init(Configuration configuration) {
      List<Type> fields = COLUMNS.stream().map(Column::schema).toList();
      return new WriteContext(new MessageType("tensors", fields), java.util.Map.of());
    }

    @Override
    public void prepareForWrite(RecordConsumer recordConsumer) {
      consumer = Optional.of(recordConsumer);
    }

    @Override
    public void write(TensorDiff tensor) {
      RecordConsumer out = consumer.orElseThrow();
      out.startMessage();
      for (int i = 0; i < COLUMNS.size(); i++) {
        Column column = COLUMNS.get(i);
        int index = i;
        column
            .value()
            .apply(tensor)
            .ifPresent(
                value -> {
                  out.startField(column.name(), index);
                  add(out, value);
                  out.endField(column.name(), index);
                });
      }
      out.endMessage();
    }

    private static void add(RecordConsumer out, Object value) {
      if (value instanceof Long number) {
        out.addLong(number);
      } else if (value instanceof Double number) {
        out.addDouble(number);
      } else {
        out.addBinary(Binary.fromString((String) value));
      }
    }
  }
}
