# Suspends BitLocker for the restarts that are planned, or puts it back.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: suspend-bitlocker.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include restart-safety.ps1
#include pause-bitlocker.ps1

Set-BitLockerPause ([int]$Params.reboots)
