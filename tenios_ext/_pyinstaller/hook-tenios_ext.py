from PyInstaller.utils.hooks import collect_data_files, collect_submodules

hiddenimports = collect_submodules("tenios_ext", lambda name: "_pyinstaller" not in name)
datas = collect_data_files("tenios_ext")
