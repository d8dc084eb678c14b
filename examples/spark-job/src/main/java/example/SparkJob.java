package example;

import static org.apache.spark.sql.functions.avg;
import static org.apache.spark.sql.functions.sum;

import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.threegate.spark.ComparisonOptions;
import org.threegate.spark.ThreegateSpark;

/** Compares two checkpoints over Spark and aggregates the rows of their tensors. */
public final class SparkJob {
  private SparkJob() {}

  /**
   * @param arguments the base and the tuned checkpoint, as directories or Hadoop URLs
   */
  public static void main(String[] arguments) throws Exception {
    try (SparkSession spark = SparkSession.builder().appName("compare").getOrCreate()) {
      Dataset<Row> tensors =
          ThreegateSpark.compare(spark, arguments[0], arguments[1], ComparisonOptions.DEFAULT);
      tensors
          .where("error is null")
          .groupBy("kind")
          .agg(sum("changed").divide(sum("total")).as("changed"), avg("nss"), avg("nssNullMean"))
          .orderBy("kind")
          .show(100, false);
    }
  }
}
