package org.threegate.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
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
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.TensorGeometry;

/** {@code tensors.parquet}: the {@link TensorTable} of a comparison. */
final class ParquetReport {
  private ParquetReport() {}

  private record Row(TensorDiff diff, Optional<TensorGeometry> geometry) {}

  private static Type schema(TensorTable.Column column) {
    return switch (column.type()) {
      case TEXT ->
          Types.optional(PrimitiveTypeName.BINARY)
              .as(LogicalTypeAnnotation.stringType())
              .named(column.name());
      case COUNT -> Types.optional(PrimitiveTypeName.INT64).named(column.name());
      case REAL -> Types.optional(PrimitiveTypeName.DOUBLE).named(column.name());
    };
  }

  static void write(ComparisonReport report, Path path) throws IOException {
    try (ParquetWriter<Row> writer = new Builder(path).build()) {
      for (TensorDiff tensor : report.tensors()) {
        writer.write(new Row(tensor, report.geometryOf(tensor)));
      }
    }
  }

  // The signatures with a Configuration are deprecated and abstract: they have to be implemented.
  @SuppressWarnings("deprecation")
  private static final class Builder extends ParquetWriter.Builder<Row, Builder> {
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
    protected WriteSupport<Row> getWriteSupport(Configuration configuration) {
      return new Support();
    }
  }

  @SuppressWarnings("deprecation")
  private static final class Support extends WriteSupport<Row> {
    private Optional<RecordConsumer> consumer = Optional.empty();

    @Override
    public WriteContext init(Configuration configuration) {
      List<Type> fields = TensorTable.columns().stream().map(ParquetReport::schema).toList();
      return new WriteContext(new MessageType("tensors", fields), java.util.Map.of());
    }

    @Override
    public void prepareForWrite(RecordConsumer recordConsumer) {
      consumer = Optional.of(recordConsumer);
    }

    @Override
    public void write(Row row) {
      RecordConsumer out = consumer.orElseThrow();
      out.startMessage();
      for (int i = 0; i < TensorTable.columns().size(); i++) {
        TensorTable.Column column = TensorTable.columns().get(i);
        int index = i;
        column
            .of(row.diff(), row.geometry())
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
