/** Geometry of an update: singular values, singular subspaces and magnitudes of its base. */
package org.threegate.analysis.geometry;
