package org.threegate.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.apache.parquet.bytes.BytesInput;
import org.apache.parquet.column.ParquetProperties;
import org.apache.parquet.compression.CompressionCodecFactory;
import org.apache.parquet.conf.PlainParquetConfiguration;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroup;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.hadoop.metadata.CompressionCodecName;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.schema.ColumnOrder;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.apache.parquet.schema.Types;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.TensorGeometry;

/** Writes {@code tensors.parquet}: the {@link TensorTable} of a comparison. */
final class ParquetReport {
  private static final MessageType SCHEMA =
      new MessageType(
          "tensors", TensorTable.columns().stream().map(ParquetReport::schema).toList());

  private ParquetReport() {}

  private static Type schema(TensorTable.Column column) {
    return switch (column.type()) {
      case TEXT ->
          Types.optional(PrimitiveTypeName.BINARY)
              .as(LogicalTypeAnnotation.stringType())
              .named(column.name());
      case COUNT -> Types.optional(PrimitiveTypeName.INT64).named(column.name());
      case REAL ->
          // The order of before: older readers do not know the total order of IEEE 754.
          Types.optional(PrimitiveTypeName.DOUBLE)
              .columnOrder(ColumnOrder.typeDefined())
              .named(column.name());
    };
  }

  static void write(ComparisonReport report, Path path) throws IOException {
    // A plain configuration and a codec factory of our own keep the writer from loading Hadoop,
    // which is not on the class path.
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(path))
            .withType(SCHEMA)
            .withConf(new PlainParquetConfiguration())
            .withCodecFactory(new Uncompressed())
            .withCompressionCodec(CompressionCodecName.UNCOMPRESSED)
            .withWriterVersion(ParquetProperties.WriterVersion.PARQUET_1_0)
            .build()) {
      for (TensorDiff tensor : report.tensors()) {
        writer.write(row(tensor, report.geometryOf(tensor)));
      }
    }
  }

  private static Group row(TensorDiff diff, Optional<TensorGeometry> geometry) {
    Group row = new SimpleGroup(SCHEMA);
    List<Optional<Object>> values =
        geometry
            .map(measured -> TensorTable.row(diff, measured))
            .orElseGet(() -> TensorTable.row(diff));
    for (int i = 0; i < values.size(); i++) {
      String column = TensorTable.columns().get(i).name();
      values.get(i).ifPresent(value -> add(row, column, value));
    }
    return row;
  }

  private static void add(Group row, String column, Object value) {
    if (value instanceof Long number) {
      row.add(column, number);
    } else if (value instanceof Double number) {
      row.add(column, number);
    } else {
      row.add(column, (String) value);
    }
  }

  /** The codec of files without compression. */
  private static final class Uncompressed implements CompressionCodecFactory {
    @Override
    public BytesInputCompressor getCompressor(CompressionCodecName codec) {
      return new BytesInputCompressor() {
        @Override
        public BytesInput compress(BytesInput bytes) {
          return bytes;
        }

        @Override
        public CompressionCodecName getCodecName() {
          return CompressionCodecName.UNCOMPRESSED;
        }

        @Override
        public void release() {}
      };
    }

    @Override
    public BytesInputDecompressor getDecompressor(CompressionCodecName codec) {
      throw new UnsupportedOperationException("nothing is read");
    }

    @Override
    public void release() {}
  }
}
