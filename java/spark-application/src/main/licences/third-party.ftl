# Components of other projects. component | version | licence (SPDX) | contained in | texts, from here | source
<#-- ECharts has its rows in threegate-report. zstd-jni is left out of the jar. -->
<#list dependencyMap as entry>
<#assign project = entry.getKey() licences = entry.getValue()>
<#if !["org.threegate", "org.webjars", "com.github.luben"]?seq_contains(project.groupId)>
${project.artifactId} | ${project.version} | ${licences?join(" OR ")} | classes | <#if licences?seq_contains("Apache-2.0")>../LICENSE<#else>${project.artifactId}</#if> | ${project.url!"https://central.sonatype.com/artifact/" + project.groupId + "/" + project.artifactId}
</#if>
</#list>
