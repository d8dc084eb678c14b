/** Where an update lies in the singular values, singular subspaces and magnitudes of its base. */
package org.threegate.analysis.geometry;
