/** Measurements on one machine or on a cluster, with the same bits. */
package org.threegate.analysis.engine;
