/** Measurements on one machine or on a cluster, with bitwise identical results. */
package org.threegate.analysis.engine;
