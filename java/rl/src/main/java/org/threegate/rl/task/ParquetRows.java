package org.threegate.rl.task;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.apache.parquet.format.Util;
import org.apache.parquet.format.converter.ParquetMetadataConverter;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.apache.parquet.hadoop.metadata.ParquetMetadata;
import org.apache.parquet.io.ColumnIOFactory;
import org.apache.parquet.io.MessageColumnIO;
import org.apache.parquet.io.RecordReader;
import org.apache.parquet.schema.MessageType;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * Reads the rows of an untrusted Parquet file as JSON objects, one page of each column at a time.
 * It does without the reader of parquet-hadoop, which needs Hadoop and takes the memory that a file
 * asks for.
 */
final class ParquetRows implements AutoCloseable {
  private static final long LARGEST_FILE = 1L << 36;
  private static final long LARGEST_FOOTER = 1L << 26;
  private static final int TAIL = 8; // the length of the footer, and the magic
  private static final String MAGIC = "PAR1";

  private final Path path;
  private final FileChannel file;
  private final ParquetMetadata metadata;
  private final ParquetRow rows;
  private RecordReader<ObjectNode> group;
  private int groups;
  private long left;
  private long number;

  private ParquetRows(Path path, FileChannel file) throws IOException {
    this.path = path;
    this.file = file;
    this.metadata = metadata(path, file);
    this.rows = new ParquetRow(schema());
    check(file.size());
  }

  /**
   * Opens a file.
   *
   * @throws InvalidInputException if it is not a Parquet file that can be read
   */
  static ParquetRows open(Path path) {
    InputFiles.check(path, LARGEST_FILE);
    try {
      FileChannel file = FileChannel.open(path);
      try {
        return new ParquetRows(path, file);
      } catch (IOException | RuntimeException | StackOverflowError e) {
        file.close();
        throw e;
      }
    } catch (InvalidInputException e) {
      throw e;
    } catch (IOException | RuntimeException | StackOverflowError e) {
      throw damaged(path.toString(), e);
    }
  }

  private static ParquetMetadata metadata(Path path, FileChannel file) throws IOException {
    long size = file.size();
    long end = size - TAIL;
    byte[] tail = new FileWindow(file, Math.max(0, end), size).readNBytes(TAIL);
    if (end < MAGIC.length()
        || tail.length < TAIL
        || !new String(tail, 4, 4, StandardCharsets.ISO_8859_1).equals(MAGIC)) {
      throw new InvalidInputException(
          path + ": not a Parquet file, or an encrypted or cut one; fetch it again");
    }
    long footer = 0;
    for (int i = 0; i < 4; i++) {
      footer |= (tail[i] & 0xffL) << 8 * i;
    }
    if (footer > Math.min(LARGEST_FOOTER, end)) {
      throw new InvalidInputException(
          path
              + ": a footer of "
              + footer
              + " bytes; at most "
              + LARGEST_FOOTER
              + ", and no more than the file, are read");
    }
    return new ParquetMetadataConverter()
        .fromParquetMetadata(Util.readFileMetaData(new FileWindow(file, end - footer, end)));
  }

  private MessageType schema() {
    return metadata.getFileMetaData().getSchema();
  }

  private void check(long size) {
    for (BlockMetaData block : metadata.getBlocks()) {
      for (ColumnChunkMetaData chunk : block.getColumns()) {
        if (chunk.getStartingPos() < 0
            || chunk.getTotalSize() < 0
            || chunk.getTotalSize() > size - chunk.getStartingPos()) {
          throw new InvalidInputException(
              path + ": column " + chunk.getPath().toDotString() + " lies outside of the file");
        }
      }
    }
  }

  /** Returns the next row; empty after the last one. */
  Optional<ObjectNode> next() {
    number++;
    try {
      while (left == 0) {
        if (groups == metadata.getBlocks().size()) {
          return Optional.empty();
        }
        BlockMetaData block = metadata.getBlocks().get(groups++);
        left = block.getRowCount();
        MessageColumnIO columns = new ColumnIOFactory().getColumnIO(schema());
        group = columns.getRecordReader(new ParquetPages(file, block), rows);
      }
      left--;
      return Optional.of(group.read());
    } catch (RuntimeException | StackOverflowError e) {
      throw damaged(where(), e);
    }
  }

  /** Returns the file and the number of the last row, for errors. */
  String where() {
    return path + ": row " + number;
  }

  private static InvalidInputException damaged(String where, Throwable e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String why = cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
    return new InvalidInputException(
        where + ": cannot be read as Parquet: " + why.lines().findFirst().orElse(""), e);
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw damaged(path.toString(), e);
    }
  }
}
