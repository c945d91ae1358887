from PyInstaller.utils.hooks import collect_submodules, copy_metadata

hiddenimports = collect_submodules("tenios_cli")
datas = copy_metadata("tenios-callback")
