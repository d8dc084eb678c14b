/** Geometry of weight patches, with cost proportional to the number of changed elements. */
package org.threegate.analysis.patch;
