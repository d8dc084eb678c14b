package org.threegate.rl.observe;

import java.net.URI;
import java.util.List;
import java.util.Map;

/**
 * Where a run is reported.
 *
 * @param server the address of the tracking server, of http or https
 * @param experiment the name of the experiment, which is created if it does not exist
 * @param run the name of the run
 * @param parameters the parameters of a new run by name
 */
public record MlflowTarget(
    URI server, String experiment, String run, Map<String, String> parameters) {
  /**
   * Copies the parameters.
   *
   * @throws IllegalArgumentException if the address is not one of http or https, or contains
   *     credentials, which would be written into the run
   */
  public MlflowTarget {
    if (!List.of("http", "https").contains(String.valueOf(server.getScheme()))
        || server.getHost() == null) {
      throw new IllegalArgumentException(
          server + " is not the address of an MLflow server, such as http://127.0.0.1:5000");
    }
    if (server.getRawUserInfo() != null) {
      throw new IllegalArgumentException(
          "the address of an MLflow server has no name and password;"
              + " set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD");
    }
    parameters = Map.copyOf(parameters);
  }
}
