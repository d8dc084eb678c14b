import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;
import org.apache.hadoop.yarn.server.resourcemanager.scheduler.fifo.FifoScheduler;

/**
 * Starts HDFS and YARN with one node each, for ci/spark-services. Writes the configuration of their clients into a directory, the argument,
 * and runs until it is killed.
 */
public class Hadoop {
  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    YarnConfiguration configuration = new YarnConfiguration();
    configuration.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, directory.resolve("dfs").toString());
    // Containers reserve as much memory as the commands of the page say, and use little of it.
    configuration.setInt(YarnConfiguration.YARN_MINICLUSTER_NM_PMEM_MB, 1 << 16);
    configuration.setInt(YarnConfiguration.RM_SCHEDULER_MAXIMUM_ALLOCATION_MB, 1 << 16);
    configuration.set(YarnConfiguration.RM_SCHEDULER, FifoScheduler.class.getName()); // needs no queues
    configuration.setBoolean(YarnConfiguration.NM_VMEM_CHECK_ENABLED, false);
    configuration.setFloat(YarnConfiguration.NM_MAX_PER_DISK_UTILIZATION_PERCENTAGE, 100);
    MiniDFSCluster files = new MiniDFSCluster.Builder(configuration).numDataNodes(1).build();
    files.waitActive();
    configuration.set("fs.defaultFS", files.getURI().toString());
    MiniYARNCluster nodes = new MiniYARNCluster("threegate", 1, 1, 1);
    nodes.init(configuration);
    nodes.start();
    nodes.waitForNodeManagersToConnect(60_000);
    // Only what clients need. The clusters themselves have settings that name classes of theirs.
    Configuration clients = new Configuration(false);
    for (String name :
        new String[] {"fs.defaultFS", YarnConfiguration.RM_ADDRESS, YarnConfiguration.RM_SCHEDULER_ADDRESS}) {
      clients.set(name, nodes.getConfig().get(name));
    }
    // Defaults of YARN replace what core-site.xml says, so both files are needed.
    for (String name : new String[] {"yarn-site.xml", "part"}) {
      try (OutputStream out = Files.newOutputStream(directory.resolve(name))) {
        clients.writeXml(out);
      }
    }
    Files.move(directory.resolve("part"), directory.resolve("core-site.xml"));
    Thread.currentThread().join();
  }
}
