package org.threegate.spark;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
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
 * Comparisons within a Spark application.
 *
 * <pre>{@code
 * Dataset<Row> tensors =
 *     ThreegateSpark.compare(spark, "hdfs:///base", "hdfs:///tuned", ComparisonOptions.DEFAULT);
 * tensors.where("kind = 'q_proj'").select("name", "sparsity", "nss", "nssNullMean").show();
 * tensors.write().parquet("hdfs:///tensors");
 * }</pre>
 */
public final class ThreegateSpark {
  /** Column with the reason why a tensor could not be measured; null if it was measured. */
  public static final String ERROR = "error";

  private static final String NAME = "name";

  private ThreegateSpark() {}

  /**
   * {@return the schema of a comparison: the columns of {@code tensors.parquet} and {@value
   * #ERROR}}
   */
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
   * Compares two checkpoints. The result has one row per tensor, with the same numbers as {@code
   * threegate compare} on one machine. Headers are read immediately. Tensors are measured once,
   * when the first action needs the rows. The rows are cached in memory and on disks of the
   * executors until {@link Dataset#unpersist()}.
   *
   * @param spark session to run in
   * @param base directory or file on a Hadoop file system of the session
   * @param tuned checkpoint or adapter on such a file system
   * @param options tensors and geometry to measure
   * @return one row per tensor, with the columns of {@link #schema()}
   * @throws org.threegate.run.InvalidInputException if a checkpoint cannot be read, or executors
   *     cannot measure or differ from each other
   * @throws IOException if a file system fails
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
    List<Optional<Object>> row =
        finished
            .geometry()
            .map(geometry -> TensorTable.row(finished.diff(), geometry))
            .orElseGet(() -> TensorTable.row(finished.diff()));
    Object[] values = new Object[row.size() + 1];
    for (int i = 0; i < row.size(); i++) {
      values[i] = row.get(i).orElse(null);
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
