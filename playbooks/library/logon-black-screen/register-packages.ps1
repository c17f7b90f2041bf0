# Registers the shell's packages for those who are logged on, as Microsoft's KB5072911 does by hand:
# by a task that runs in their sessions as themselves, and is taken away again. Where it is wished,
# another task stays and registers them at every logon. Run twice it does the same again.
#
# Runs in Windows PowerShell 3.0 to 5.1. Takes and gives: register-packages.takes.json and
# .gives.json. Nothing here reads text that Windows translates.
param($Params)

#include probe.ps1
#include shell-packages.ps1

$Once = 'fleetmend-register-shell-packages'
$AtLogon = 'fleetmend-register-shell-packages-at-logon'

# Writes a task of every user of the PC (S-1-5-32-545), without more rights than theirs.
function Set-RegisterTask($Scheduler, [string]$Name, [bool]$EveryLogon) {
    $definition = $Scheduler.NewTask(0)
    # TASK_LOGON_GROUP, least privilege
    $definition.Principal.GroupId = 'S-1-5-32-545'
    $definition.Principal.LogonType = 4
    $definition.Principal.RunLevel = 0
    $definition.Settings.MultipleInstances = 0
    $definition.Settings.DisallowStartIfOnBatteries = $false
    $definition.Settings.StopIfGoingOnBatteries = $false
    $definition.Settings.ExecutionTimeLimit = 'PT5M'
    $definition.Settings.Hidden = $true
    # Nothing of this comes from outside: the paths are constants and the folder of Windows.
    $parts = New-Object System.Collections.ArrayList
    foreach ($family in $ShellPackages) {
        $path = Get-ShellManifest $family
        if ([System.IO.File]::Exists($path)) {
            [void]$parts.Add("Add-AppxPackage -Register -Path '" + $path + "' -DisableDevelopmentMode")
        }
    }
    # The shell's host takes them up when it starts again, as it does by itself.
    if (-not $EveryLogon) { [void]$parts.Add('Stop-Process -Name sihost -Force -ErrorAction SilentlyContinue') }
    $body = "`$ErrorActionPreference = 'Stop'; try { " + ($parts -join '; ') + '; exit 0 } catch { exit $_.Exception.HResult }'
    # TASK_ACTION_EXEC
    $action = $definition.Actions.Create(0)
    $action.Path = [System.IO.Path]::Combine($env:SystemRoot, 'System32', 'WindowsPowerShell', 'v1.0', 'powershell.exe')
    $action.Arguments = '-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -WindowStyle Hidden -Command "' + $body + '"'
    # TASK_TRIGGER_LOGON
    if ($EveryLogon) { $null = $definition.Triggers.Create(9) }
    # TASK_CREATE_OR_UPDATE
    return $Scheduler.GetFolder('\').RegisterTaskDefinition($Name, $definition, 6, $null, $null, 4)
}

$scheduler = Invoke-Probe 'scheduler' {
    $service = New-Object -ComObject 'Schedule.Service'
    $service.Connect()
    $service
}
$runs = New-Object System.Collections.ArrayList
$left = $false
if ($null -ne $scheduler) {
    $null = Invoke-Probe 'run' {
        $task = Set-RegisterTask $scheduler $Once $false
        $clock = [System.Diagnostics.Stopwatch]::StartNew()
        try {
            foreach ($session in @($Params.sessions)) {
                $run = [PSCustomObject][ordered]@{ session = [int]$session; result = $null }
                [void]$runs.Add($run)
                $null = Invoke-Probe 'session' {
                    # TASK_RUN_USE_SESSION_ID
                    $null = $task.RunEx($null, 4, $run.session, $null)
                    $limit = [TimeSpan]::FromSeconds(120)
                    do {
                        [System.Threading.Thread]::Sleep(500)
                        $busy = @($task.GetInstances(0)).Count -gt 0
                    } while ($busy -and $clock.Elapsed -lt $limit)
                    # ERROR_TIMEOUT
                    if ($busy) { throw (New-Object System.ComponentModel.Win32Exception 1460) }
                    $run.result = [long]$task.LastTaskResult
                }
            }
        } finally {
            $scheduler.GetFolder('\').DeleteTask($Once, 0)
        }
    }
    if ($Params.at_every_logon) {
        $null = Invoke-Probe 'at-logon' { $null = Set-RegisterTask $scheduler $AtLogon $true }
    }
    $left = [bool](Invoke-Probe 'look' {
        $names = @($scheduler.GetFolder('\').GetTasks(1) | ForEach-Object { [string]$_.Name })
        $names -contains $AtLogon
    })
}

[PSCustomObject][ordered]@{
    runs = $runs.ToArray()
    at_every_logon = $left
    probe_errors = $ProbeErrors.ToArray()
}
