/** Random updates that a true one is held against, and what they measure. */
package org.threegate.analysis.nullmodel;
