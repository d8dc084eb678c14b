# find_package(threegate) and pkg-config for the installed library.
include(CMakePackageConfigHelpers)

install(TARGETS threegate EXPORT threegate-targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/threegate DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(file ${THREEGATE_OPENBLAS_FILES})
  install(PROGRAMS "${THREEGATE_OPENBLAS_DIRECTORY}/${file}" DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
install(EXPORT threegate-targets NAMESPACE threegate:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/threegate)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/threegate-config.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/threegate-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/threegate)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/threegate-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_file(${CMAKE_CURRENT_LIST_DIR}/threegate.pc.in ${CMAKE_CURRENT_BINARY_DIR}/threegate.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/threegate-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/threegate-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/threegate)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/threegate.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
