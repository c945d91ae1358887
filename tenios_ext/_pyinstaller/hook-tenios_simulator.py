from PyInstaller.utils.hooks import collect_data_files, collect_submodules

hiddenimports = collect_submodules("tenios_simulator", lambda name: "pytest" not in name)
datas = collect_data_files("tenios_simulator")
