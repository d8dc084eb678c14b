package org.threegate.spark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.storage.StorageLevel;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.engine.Failure;
import org.threegate.report.TensorTable;

/**
 * Comparisons in a job of Spark's.
 *
 * <pre>{@code
 * Dataset<Row> tensors =
 *     ThreegateSpark.compare(spark, "hdfs:///base", "hdfs:///tuned", ComparisonOptions.DEFAULT);
 * tensors.where("kind = 'q_proj'").select("name", "sparsity", "nss", "nssNullMean").show();
 * tensors.write().parquet("hdfs:///tensors");
 * }</pre>
 */
public final class ThreegateSpark {
  /** Why a tensor could not be measured; null when it was. */
  public static final String ERROR = "error";

  private static final String NAME = "name";

  private ThreegateSpark() {}

  /** Columns of a comparison: those of {@code tensors.parquet}, and {@value #ERROR}. */
  public static StructType schema() {
    List<StructField> fields = new ArrayList<>();
    for (TensorTable.Column column : TensorTable.columns()) {
      fields.add(DataTypes.createStructField(column.name(), type(column), true));
    }
    fields.add(DataTypes.createStructField(ERROR, DataTypes.StringType, true));
    return DataTypes.createStructType(fields);
  }

  private static DataType type(TensorTable.Column column) {
    return switch (column.type()) {
      case TEXT -> DataTypes.StringType;
      case COUNT -> DataTypes.LongType;
      case REAL -> DataTypes.DoubleType;
    };
  }

  /**
   * Compares two checkpoints; a row a tensor, with the numbers that {@code threegate compare} gives
   * on one machine. It is planned at once, from headers; measured when rows are asked for, once:
   * the rows are kept (in memory, else on disks of the executors) until {@link
   * Dataset#unpersist()}.
   *
   * @param base a directory or a file, wherever Hadoop's file systems of this session reach
   * @param tuned a checkpoint or an adapter, the same
   * @throws org.threegate.run.InvalidInputException when one cannot be read, or executors cannot
   *     measure or are not alike
   */
  public static Dataset<Row> compare(
      SparkSession spark, String base, String tuned, ComparisonOptions options) throws IOException {
    List<Failure> damaged = new ArrayList<>();
    JavaRDD<Answer> answers =
        new SparkEngine(spark, false)
            .answers(base, tuned, options.selected(), options.geometry(), damaged);
    JavaRDD<Row> rows = answers.map((Function<Answer, Row>) ThreegateSpark::row);
    List<Row> failed =
        damaged.stream().map(failure -> failed(failure.tensor(), failure.reason())).toList();
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    JavaRDD<Row> all = failed.isEmpty() ? rows : rows.union(context.parallelize(failed, 1));
    return spark.createDataFrame(all, schema()).persist(StorageLevel.MEMORY_AND_DISK());
  }

  private static Row row(Answer answer) throws IOException {
    if (!answer.failure().isEmpty()) {
      return failed(answer.name(), answer.failure());
    }
    Comparison.Finished finished = Work.decode(Comparison.Finished.class, answer.result());
    List<TensorTable.Column> columns = TensorTable.columns();
    Object[] values = new Object[columns.size() + 1];
    for (int i = 0; i < columns.size(); i++) {
      values[i] = columns.get(i).of(finished.diff(), finished.geometry()).orElse(null);
    }
    return RowFactory.create(values);
  }

  private static Row failed(String name, String reason) {
    List<TensorTable.Column> columns = TensorTable.columns();
    Object[] values = new Object[columns.size() + 1];
    for (int i = 0; i < columns.size(); i++) {
      if (columns.get(i).name().equals(NAME)) {
        values[i] = name;
      }
    }
    values[columns.size()] = reason;
    return RowFactory.create(values);
  }
}
