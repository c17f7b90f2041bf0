# Stores the machine password that the controller has just set in Active Directory as the PC's
# own: the LSA secret $MACHINE.ACC, by the calls with which Reset-ComputerMachinePassword does it.
# Then Netlogon is restarted and bound to the controller that has the new password, so that no
# restart of Windows is needed. Run twice with the same password it does the same again.
#
# No domain credential comes here: whoever holds the PC can learn this PC's machine password only.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: store-machine-password.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include tool.ps1
#include netlogon.ps1
#include restart-netlogon.ps1
#include machine-secret.ps1

#include store-machine-password.ps1
